#!/usr/bin/env bash
# Builds the services and the lab, and runs one of its commands:
# scripts/lab.sh demo|migrate|bench|lookup|chaos|drill-failover|drill-restore|drill-upgrade
# What each does, and with which variables, says `rastro-lab` without arguments.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

command="$1" profile=debug
"$ROOT/scripts/install.sh" cc
if [ "$command" = bench ]; then
    [ -r /proc/self/stat ] || die "processor time and memory are read from /proc, so the benchmark needs Linux."
    profile=release
    # What the script costs a page is measured in a browser.
    "$ROOT/scripts/install.sh" node-tests chromium
    RASTRO_TEST_NODE=$("$ROOT/scripts/install.sh" node)
    export RASTRO_TEST_NODE
fi
# One run of a command at a time in a checkout: a second one would delete the first one's cluster. macOS has no flock.
mkdir -p "$LOCAL/$command"
exec 9>"$LOCAL/$command/lock"
if command -v flock >/dev/null; then flock -n 9 || die "another \`make $command\` is under way in this checkout."; fi

heading "build (the first time takes minutes)"
release=()
if [ "$profile" = release ]; then release=(--release); fi
# Without the lock (9): nothing that outlives this script may hold it.
cargo build ${release[@]+"${release[@]}"} --locked -p ingest-gateway -p capi-forwarder -p retry-worker \
    -p attribution -p monitor -p rastro-sandbox -p rastro-lab 9>&-

if [ "$command" = drill-upgrade ] && [ -z "${PREVIOUS_BIN_DIR:-}" ]; then
    # The last release, unless PREVIOUS=commit says otherwise.
    previous=${PREVIOUS:-$(git describe --tags --abbrev=0 2>/dev/null)} ||
        die "there is no tag yet: PREVIOUS=commit make drill-upgrade says which version to begin with."
    heading "build of $previous (minutes)"
    rm -rf "$LOCAL/$command/source" && mkdir -p "$LOCAL/$command/source"
    git archive "$previous" | tar -x -C "$LOCAL/$command/source"
    (cd "$LOCAL/$command/source" && CARGO_TARGET_DIR="$LOCAL/$command/target" cargo build --locked -p ingest-gateway \
        -p capi-forwarder -p retry-worker -p attribution -p monitor 9>&-)
    export PREVIOUS_BIN_DIR="$LOCAL/$command/target/debug"
fi

# However it ends; the program deletes its cluster itself, if it can.
case "$command" in
    bench | lookup | chaos | drill-upgrade)
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        trap '"$ROOT/scripts/postgres.sh" destroy "$LOCAL/$command/postgres"' EXIT
        ;;
    drill-failover)
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        trap 'for cluster in primary standby; do "$ROOT/scripts/postgres.sh" destroy "$LOCAL/$command/$cluster"; done' EXIT
        ;;
    drill-restore)
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        trap 'for cluster in lost restored; do "$ROOT/scripts/postgres.sh" destroy "$LOCAL/$command/$cluster"; done' EXIT
        ;;
esac
"$(target_dir)/$profile/rastro-lab" "$command" 9>&-
