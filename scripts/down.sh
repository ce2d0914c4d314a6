#!/usr/bin/env bash
# Stops what the demo started; safe when nothing runs. With --delete also everything else under .local, and deletes it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=demo-services.sh
. "$ROOT/scripts/demo-services.sh"

# In the order of an event's way, so that nothing is accepted any more while the rest drains.
stop_processes ingest-gateway capi-forwarder retry-worker rastro-sandbox
"$ROOT/scripts/postgres.sh" stop "$DEMO_POSTGRES"
say "the demo is stopped."

if [ "${1:-}" = --delete ]; then
    # Not a plain rm: a cluster's files may be outside of .local (see postgres.sh).
    for cluster in "$LOCAL"/*/postgres; do
        "$ROOT/scripts/postgres.sh" destroy "$cluster"
    done
    rm -rf "$LOCAL"
    say ".local is deleted."
fi
