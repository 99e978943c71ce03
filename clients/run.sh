#!/usr/bin/env bash
# Tests the gateway's doors with official clients: installs them, pinned, where nothing else is, and runs drive.py.
#
#   clients/run.sh                          all suites, in peace and while nodes are killed
#   clients/run.sh --only curl,browser      some of them
#   clients/run.sh --calm                   nothing is killed
#
# REMUDA names the binary (target/release/remuda), REMUDA_TEST_MODEL the model, CHROMIUM the browser.
# All that is installed or written lies in ${XDG_CACHE_HOME:-~/.cache}/remuda/clients.
set -euo pipefail

here=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")")
remuda=$(realpath -m -- "${REMUDA:-$here/../target/release/remuda}") # as seen from where this was called
cd "$here"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/remuda/clients"

say() { printf '%s\n' "$*" >&2; }
fail() { say "clients: $*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# fresh FOLDER FILE...: whether the folder was installed from just these files.
fresh() { [ "$(cat "$1/installed-from" 2>/dev/null)" = "$(cat "${@:2}" | sha256sum)" ]; }
note() { cat "${@:2}" | sha256sum >"$1/installed-from"; }

python_clients() {
    fresh "$cache/venv" requirements.txt && return
    say "clients: installing OpenAI's and Anthropic's SDKs for Python"
    rm -rf -- "$cache/venv"
    python3 -m venv "$cache/venv" || fail "Python has no venv; run setup/install.sh --clients"
    "$cache/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: -r requirements.txt
    note "$cache/venv" requirements.txt
}

# npm_clients FROM TO: no script of any package runs.
npm_clients() {
    fresh "$2" "$1/package.json" "$1/package-lock.json" && return
    say "clients: installing what $1/package.json names"
    rm -rf -- "$2"
    mkdir -p "$2"
    cp "$1/package.json" "$1/package-lock.json" "$2"
    (cd "$2" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2
    note "$2" "$1/package.json" "$1/package-lock.json"
}

[ -x "$remuda" ] || fail "there is no $remuda; run make build"
for tool in python3 npm curl; do
    has "$tool" || fail "there is no $tool; run setup/install.sh --clients"
done
[ -x "${CHROMIUM:-/usr/bin/chromium-headless-shell}" ] ||
    fail "there is no browser; run setup/install.sh --clients, or have CHROMIUM name one"
model="${REMUDA_TEST_MODEL:-$(../setup/model.sh)}"

mkdir -p "$cache/bin"
python_clients
npm_clients . "$cache/npm"
npm_clients openclaw "$cache/openclaw"
ln -sfn "$cache"/npm/node_modules/node-linux-*/bin/node "$cache/bin/node"
ln -sfn "$cache/npm/node_modules" node_modules # where Node looks for what the tests import

exec python3 drive.py --remuda "$remuda" --model "$model" --cache "$cache" "$@"
