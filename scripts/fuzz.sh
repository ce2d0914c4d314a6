#!/usr/bin/env bash
# The parsers against input that changes with each run: scripts/fuzz.sh [SECONDS of each target] [SEED]
# `make test` tries the same few thousand inputs each time; this goes on for as long as it is told to.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

seconds="${1:-60}"
case "$seconds" in *[!0-9]* | "") die "SECONDS must be a whole number, not '$seconds'" ;; esac
"$ROOT/scripts/install.sh" cc nextest
export RASTRO_FUZZ_SECONDS="$seconds" RASTRO_FUZZ_SEED="${2:-$(date +%s)}"
say "each target for $seconds s, from seed $RASTRO_FUZZ_SEED (SEED=$RASTRO_FUZZ_SEED tries the same again)"
# A target takes as long as it is told, which is no sign that it hangs: so the profile.
cargo nextest run --locked --no-fail-fast --profile fuzz -E 'test(/fuzz/)' \
    -p rastro-core -p rastro-graph-api -p rastro-sandbox -p ingest-gateway --lib --test fuzz
