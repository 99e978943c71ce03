#!/usr/bin/env bash
# Installs what this machine lacks to build, run and test Remuda, as Debian packages.
#
#   setup/install.sh             what a build and a run need
#   setup/install.sh --test      and cargo-nextest, which the tests need
#   setup/install.sh --clients   and what the official clients of `make test-clients` need
#
# Where nothing is missing it says nothing and calls no package manager. With a terminal and
# without root it asks before it uses sudo.
set -euo pipefail

# Pinned, so that a newer one that needs a newer compiler does not break a build of today.
NEXTEST_VERSION=0.9.143

PATH="$PATH:/usr/sbin:/sbin" # where Debian keeps ip and iptables, outside a plain user's PATH

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup: $*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
any_file() { compgen -G "$1" >/dev/null; }

# The Debian packages of what is missing, one a line.
missing() {
    local tool
    while read -r tool package; do
        has "$tool" || echo "$package"
    done <<'TABLE'
cmake cmake
clang clang
pkg-config pkg-config
gcc gcc
g++ g++
make make
curl curl
python3 python3
ip iproute2
iptables iptables
TABLE
    # Bindings to llama.cpp are generated at build time.
    [ -n "${LIBCLANG_PATH:-}" ] || any_file '/usr/lib/llvm-*/lib/libclang*.so*' ||
        any_file '/usr/lib/*/libclang*.so*' || echo libclang-dev
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    # setup/model.sh takes pip, or makes an environment that has it.
    has pip3 || has pip || any_file '/usr/lib/python3*/ensurepip' || echo python3-venv
    [ "${1:-}" != --clients ] || missing_clients
}

missing_clients() {
    python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
    has npm || echo npm
    [ -n "${CHROMIUM:-}" ] || has chromium-headless-shell || echo chromium-headless-shell
}

# Runs a command as root; sudo may ask for a password only where somebody can answer.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# Not root, and no way to become it: better told before than by half an installation.
need_root() {
    [ "$(id -u)" = 0 ] && return
    local way_out="as root, run: apt-get install $*"
    has sudo || fail "installing needs root and there is no sudo; $way_out"
    [ -t 0 ] || sudo -n true 2>/dev/null ||
        fail "installing needs root and sudo would ask for a password; run this in a terminal, or $way_out"
}

confirm() {
    [ "$(id -u)" != 0 ] && [ -t 0 ] && [ -t 2 ] || return 0
    local answer
    read -r -p "Install $* with apt-get (sudo)? [Y/n] " answer
    case "$answer" in
        '' | [yY]*) ;;
        *) fail "nothing installed; Remuda needs: $*" ;;
    esac
}

install_packages() {
    has apt-get || fail "this is no Debian or Ubuntu; install what these packages hold: $*"
    need_root "$@"
    confirm "$@"
    say "setup: installing $*"
    as_root apt-get update -qq ||
        fail "apt-get could not refresh its lists; mend the network or the sources, then run this again"
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >&2 ||
        fail "apt-get could not install: $*; its words are above"
}

install_nextest() {
    has cargo-nextest && return
    say "setup: installing cargo-nextest $NEXTEST_VERSION (some minutes, once)"
    cargo install --locked "cargo-nextest@$NEXTEST_VERSION" >&2 ||
        fail "cargo could not install cargo-nextest; its words are above"
}

mapfile -t packages < <(missing "${1:-}" | sort -u)
if [ "${#packages[@]}" -gt 0 ]; then
    install_packages "${packages[@]}"
fi
# Rust has an installer of its own and comes with no Debian package that is new enough.
has cargo || [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] ||
    fail "there is no Rust toolchain; get one from https://rustup.rs, then run this again"
case "${1:-}" in
    '' | --clients) ;;
    --test) install_nextest ;;
    *) fail "unknown option $1; use --test, --clients or nothing" ;;
esac
