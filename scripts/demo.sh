#!/usr/bin/env bash
# The whole way once: PostgreSQL, stand-in for Meta, gateway, forwarder, retry-worker, then a stream of events and their account.
# Leaves everything running to be looked at; `make down` stops it.
# shellcheck disable=SC2030,SC2031,SC2329 # each service's variables are meant to end with its subshell; `step` calls them
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=demo-services.sh
. "$ROOT/scripts/demo-services.sh"
cd "$ROOT"

# Each process is given only the variables it knows: an unknown one stops its start.

start_sandbox() {
    start_process rastro-sandbox "$programs/rastro-sandbox" \
        --listen "127.0.0.1:$sandbox_port" --token "$DATASET_ID=$ACCESS_TOKEN"
    await_ready rastro-sandbox "$sandbox_port" /sandbox/counts
}

start_gateway() (
    export RASTRO__DATABASE__URL="$database" RASTRO__DATABASE__SEALING_KEY="$SEALING_KEY"
    export RASTRO__GATEWAY__LISTEN="127.0.0.1:$gateway_port" RASTRO__HEALTH__LISTEN="127.0.0.1:$gateway_health_port"
    export RASTRO__TELEMETRY__LOG_FORMAT=json
    export RASTRO__SEED__DATASET_ID="$DATASET_ID" RASTRO__SEED__NAME="Rastro demo" RASTRO__SEED__ACCESS_TOKEN="$ACCESS_TOKEN"
    export RASTRO__SEED__SECRET_KEY="$SECRET_KEY" RASTRO__SEED__PUBLISHABLE_KEY="$PUBLISHABLE_KEY"
    export RASTRO__SEED__DEFAULT_COUNTRY=br RASTRO__SEED__DEFAULT_CURRENCY=BRL
    start_process ingest-gateway "$programs/ingest-gateway"
    await_ready ingest-gateway "$gateway_health_port" /readyz
)

start_forwarder() (
    export RASTRO__DATABASE__URL="$database" RASTRO__DATABASE__SEALING_KEY="$SEALING_KEY"
    export RASTRO__HEALTH__LISTEN="127.0.0.1:$forwarder_health_port" RASTRO__TELEMETRY__LOG_FORMAT=json
    export RASTRO__GRAPH_API__URL="http://127.0.0.1:$sandbox_port"
    start_process capi-forwarder "$programs/capi-forwarder"
    await_ready capi-forwarder "$forwarder_health_port" /readyz
)

start_retry_worker() (
    export RASTRO__DATABASE__URL="$database" RASTRO__DATABASE__SEALING_KEY="$SEALING_KEY"
    export RASTRO__HEALTH__LISTEN="127.0.0.1:$retry_worker_health_port" RASTRO__TELEMETRY__LOG_FORMAT=json
    start_process retry-worker "$programs/retry-worker"
    await_ready retry-worker "$retry_worker_health_port" /readyz
)

# Sends the events and prints their account; secrets are no arguments, because `ps` shows those to everybody.
account() (
    export RASTRO_DEMO_DATABASE_URL="$database" RASTRO_DEMO_SEALING_KEY="$SEALING_KEY"
    export RASTRO_DEMO_PUBLISHABLE_KEY="$PUBLISHABLE_KEY" RASTRO_DEMO_SECRET_KEY="$SECRET_KEY"
    "$programs/rastro-demo" --dataset "$DATASET_ID" --out "$DEMO/account.json" \
        --gateway "http://127.0.0.1:$gateway_port" --gateway-health "http://127.0.0.1:$gateway_health_port" \
        --sandbox "http://127.0.0.1:$sandbox_port" --forwarder-health "http://127.0.0.1:$forwarder_health_port"
)

"$ROOT/scripts/install.sh" cc

heading "database"
load_secrets
find_database

heading "build (the first time takes minutes)"
cargo build --locked -p ingest-gateway -p capi-forwarder -p retry-worker -p rastro-sandbox -p rastro-demo
programs="$(target_dir)/debug"

heading "services"
stop_processes ingest-gateway capi-forwarder retry-worker rastro-sandbox # of an earlier demo; frees the friendly ports
gateway_port=$(free_port 8080)
sandbox_port=$(free_port 8090)
gateway_health_port=$(free_port 9101)
forwarder_health_port=$(free_port 9102)
retry_worker_health_port=$(free_port 9103)

step "stand-in for Meta" start_sandbox
step "database schema" migrate
# Before the gateway, which is not ready without the partitions that the worker makes: the schema may be weeks old.
step "retry-worker" start_retry_worker
step "gateway" start_gateway
step "forwarder" start_forwarder

heading "events"
status=0
account || status=$?

say ""
say "Everything keeps running. Logs: .local/demo/run/*.log, keys: .local/demo/env. \`make down\` stops it."
exit "$status"
