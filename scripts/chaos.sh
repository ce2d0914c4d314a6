#!/usr/bin/env bash
# Breaks everything at random and accounts for every event: SEED=n DURATION=seconds scripts/chaos.sh
# The same seed plans the same faults. On a PostgreSQL of its own; exits with 1 if a promise was broken.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

"$ROOT/scripts/install.sh" cc
heading "build"
cargo build --locked -p ingest-gateway -p capi-forwarder -p retry-worker -p rastro-chaos

heading "chaos"
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# However it ends. The program deletes its cluster itself, if it can.
trap '"$ROOT/scripts/postgres.sh" destroy "$LOCAL/chaos/postgres"' EXIT
"$(target_dir)/debug/rastro-chaos" --repository "$ROOT" --folder "$LOCAL/chaos" --report "$ROOT/target/chaos/report.json" \
    --duration "${DURATION:-150}" ${SEED:+--seed "$SEED"}
