#!/usr/bin/env bash
# Clients that are too large for every run of the tests: scripts/test-clients.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=test-services.sh
. "$ROOT/scripts/test-services.sh"
cd "$ROOT"

start_test_services
"$ROOT/scripts/install.sh" segment-tests
cargo nextest run --locked -p ingest-gateway --features heavy-clients --test segment --test clients 9>&-
