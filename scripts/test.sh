#!/usr/bin/env bash
# Everything that must hold before a change lands: scripts/test.sh [nextest arguments]
# Formatting, clippy, documentation examples and all tests, against a scratch PostgreSQL of its own.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=test-services.sh
. "$ROOT/scripts/test-services.sh"
cd "$ROOT"

heading "formatting"
cargo fmt --all --check

start_test_services

heading "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

# Half a minute with what it installs. A developer's machine that has neither promtool nor Debian's packages goes without.
if command -v promtool >/dev/null || command -v dpkg-deb >/dev/null || [ "${CI:-}" = true ]; then
    "$ROOT/scripts/test-deploy.sh"
else
    say "make test-deploy is skipped: promtool is not there (https://prometheus.io/download)."
fi

heading "the browser's side: types, sizes, committed build, pure rules"
(
    cd crates/ingest-gateway/web
    "$RASTRO_TEST_NODE" node_modules/typescript/bin/tsc --noEmit
    "$RASTRO_TEST_NODE" build.mjs --check
    "$RASTRO_TEST_NODE" --test --test-reporter=dot tests/unit/*.test.js
)

# With the tests, although only the binaries are wanted here: test dependencies can switch on features of
# shared crates, and the same selection as nextest's is what makes the two share every compile.
heading "build"
cargo build --workspace --lib --bins --tests --locked

# Before the tests, so that their summary is the last thing on the screen.
if grep -rqE '^ *//[/!] ```' crates/*/src; then
    heading "documentation examples"
    cargo test --doc --workspace --locked --quiet
fi

heading "tests"
# Without the lock (9): a process that a broken test leaves behind must not block the next run.
cargo nextest run --workspace --locked "$@" 9>&-
