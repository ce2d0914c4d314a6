# shellcheck shell=bash
# What the scripts share: where things are and how they speak. Sourced, never run.
# Written for bash 3.2 (macOS) and later; nothing here needs curl or jq.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034 # used by the scripts that source this file
LOCAL="$ROOT/.local"

# A service manager or a bare CI shell often has no login profile, so cargo may not be on PATH yet.
if ! command -v cargo >/dev/null && [ -x "${HOME:-}/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
fi

# Progress goes to stderr, so that stdout carries only what a caller may want to read.
say() { printf '%s\n' "$*" >&2; }

# The heading of a part whose own output follows (cargo shows its progress better than we could).
heading() { say "==> $*"; }

# The end, with a sentence that says what to do.
die() {
    say "error: $*"
    exit 1
}

# The last lines of a log, for a failure that is explained there.
show_tail() {
    [ -s "$1" ] || return 0
    say "last lines of $1:"
    tail -n "${2:-25}" "$1" | sed 's/^/    /' >&2
}

# Runs a quiet command as one line; its output is shown only if it fails.
step() {
    local label="$1" began=$SECONDS log status=0
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/rastro-step.XXXXXX")
    printf '    %s ... ' "$label" >&2
    "$@" </dev/null >"$log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then say "ok ($((SECONDS - began))s)"; else say "failed ($((SECONDS - began))s)" && show_tail "$log"; fi
    rm -f "$log"
    return "$status"
}

# N random bytes as hex: safe in a URL, an environment file and a header.
random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# The given port if it is free, else a free one below the ephemeral range (an outgoing connection cannot take it).
free_port() {
    local port="${1:-0}" tries=0
    while [ "$port" = 0 ] || (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 200 ] || die "no free TCP port found on 127.0.0.1"
        port=$((20000 + RANDOM % 12000))
    done
    printf '%s\n' "$port"
}

# Where cargo puts what it builds; the user may have moved it with CARGO_TARGET_DIR or a cargo config.
target_dir() {
    cargo metadata --manifest-path "$ROOT/Cargo.toml" --format-version 1 --no-deps --locked |
        sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}
