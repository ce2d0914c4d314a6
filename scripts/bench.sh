#!/usr/bin/env bash
# The benchmark: the services in release mode against baselines, on a durable PostgreSQL of its own, in one run.
# Prints tables, writes target/bench/report.json, and fails if an event was lost or doubled. QUICK=1: two to three minutes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

BENCH_POSTGRES="$LOCAL/bench/postgres"

[ -r /proc/self/stat ] || die "processor time and memory are read from /proc, so the benchmark needs Linux."
mkdir -p "$LOCAL/bench"
exec 9>"$LOCAL/bench/lock"
flock -n 9 || die "another benchmark is under way in this checkout."

"$ROOT/scripts/install.sh" cc

heading "build, optimised (the first time takes minutes)"
cargo build --release --locked -p ingest-gateway -p capi-forwarder -p retry-worker -p rastro-sandbox -p rastro-bench 9>&-
target="$(target_dir)"

heading "database"
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap '"$ROOT/scripts/postgres.sh" destroy "$BENCH_POSTGRES"' EXIT
# What an earlier run left would be vacuumed and checkpointed at this one's cost.
"$ROOT/scripts/postgres.sh" destroy "$BENCH_POSTGRES"
# Without the lock (9): the server must not hold it longer than this script does.
RASTRO_BENCH_DATABASE_URL=$("$ROOT/scripts/postgres.sh" start "$BENCH_POSTGRES" --bench 9>&-)
export RASTRO_BENCH_DATABASE_URL

heading "measuring"
quick=()
case "${QUICK:-}" in '' | 0) ;; *) quick=(--quick) ;; esac
mkdir -p "$target/bench"
"$target/release/rastro-bench" --programs "$target/release" --out "$target/bench" ${quick[@]+"${quick[@]}"} 9>&- |
    tee "$target/bench/report.txt"
say "report: $target/bench/report.json, logs: $target/bench/logs"
