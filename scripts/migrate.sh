#!/usr/bin/env bash
# Brings a database to the newest schema: the one that DATABASE_URL names, else the demo's.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=demo-services.sh
. "$ROOT/scripts/demo-services.sh"
cd "$ROOT"

load_secrets
find_database
cargo build --locked -p ingest-gateway
migrate
