#!/usr/bin/env bash
# Stops what the demo started; safe when nothing runs. With --delete also everything else under .local, and deletes it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Only the lab writes these files, and it knows how to tell our processes from strangers with the same number.
if compgen -G "$LOCAL/demo/run/*.pid" >/dev/null; then
    cargo run --manifest-path "$ROOT/Cargo.toml" --locked --quiet -p rastro-lab -- down
fi
"$ROOT/scripts/postgres.sh" stop "$LOCAL/demo/postgres"
say "the demo is stopped."

if [ "${1:-}" = --delete ]; then
    # Not a plain rm: a cluster's files may be outside of .local (see postgres.sh).
    # A drill that was killed leaves clusters of other names.
    for cluster in "$LOCAL"/*/{postgres,primary,standby,lost,restored}; do
        "$ROOT/scripts/postgres.sh" destroy "$cluster"
    done
    rm -rf "$LOCAL"
    say ".local is deleted."
fi
