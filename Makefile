# One door to everything: `make` lists it.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build model up tour test test-clients lint bench soak fuzz clean-state

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
REMUDA := $(TARGET_DIR)/release/remuda

# What `make up` and `make tour` ask of `remuda up`, besides the model.
UP_FLAGS ?= --tour
TOUR_FLAGS ?= --tour --exit
# More for the test runner, as in: make test NEXTEST_FLAGS='-p remuda-ledger'
NEXTEST_FLAGS ?=
# How long `make fuzz` runs each target, and which.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
# What `remuda up` keeps between runs.
STATE_DIR ?= $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/remuda

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what this machine lacks (Debian packages)
	@setup/install.sh

build: setup ## build the one binary
	@$(CARGO) build --release --workspace --bin remuda

model: setup ## fetch the small model, once
	@setup/model.sh

up: build ## a whole network on this machine, with a tour of what it does
	@model=$$(setup/model.sh); exec $(REMUDA) up $(UP_FLAGS) --model "$$model"

tour: build ## the same tour, then leave
	@model=$$(setup/model.sh); exec $(REMUDA) up $(TOUR_FLAGS) --model "$$model"

# The examples in the documentation run first, so that the last words are the test runner's summary.
test: ## run all tests
	@setup/install.sh --test
	@model=$$(setup/model.sh); export REMUDA_TEST_MODEL="$$model"; \
	$(CARGO) test --quiet --release --workspace --doc; \
	$(CARGO) nextest run --release --workspace $(NEXTEST_FLAGS)

# More for clients/run.sh, as in: make test-clients CLIENTS_FLAGS='--only curl --calm'
CLIENTS_FLAGS ?=
test-clients: build ## the doors, tried by official clients, in peace and while nodes are killed
	@setup/install.sh --clients
	@REMUDA=$(REMUDA) clients/run.sh $(CLIENTS_FLAGS)

# cargo-deny's advisories need the advisory database, so they are for a machine that reaches it:
# cargo deny check advisories
lint: setup ## formatting, clippy, tidy, licences
	@$(CARGO) fmt --all -- --check
	@$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	@$(CARGO) xtask tidy
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) deny --log-level error check licenses bans sources; \
	else \
		echo "lint: cargo-deny is not installed, licences not checked (cargo install --locked cargo-deny)"; \
	fi

bench: build ## the benchmarks of the binary: journal, placement, failover
	@$(REMUDA) bench journal
	@$(REMUDA) bench placement
	@$(REMUDA) bench failover

# Seeds go on from SEED, or from the second it is; the first that breaks a promise ends it.
soak: build ## simulated storms, seed after seed, until one breaks a promise or you stop it
	@seed=$${SEED:-$$(date +%s)}; \
	while $(REMUDA) sim --scenario storm --seed $$seed --json >/dev/null; do \
		echo "seed $$seed held"; seed=$$((seed + 1)); \
	done; \
	echo "seed $$seed broke a promise: remuda sim --scenario storm --seed $$seed"; exit 1

# Without a sanitizer the stable compiler will do: the readers have no unsafe code of ours. What a
# target finds lies in fuzz/artifacts, and what it has learnt in fuzz/corpus.
fuzz: ## every reader of outside bytes, FUZZ_SECONDS each (cargo install --locked cargo-fuzz)
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz"; exit 1; }
	@for target in $(FUZZ_TARGETS); do \
		echo "fuzzing $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
		$(CARGO) fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 -verbosity=0 -print_final_stats=1; \
	done

clean-state: ## forget the network that `make up` kept
	@echo "removing $(STATE_DIR)"; rm -rf -- "$(STATE_DIR)"
