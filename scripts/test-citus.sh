#!/usr/bin/env bash
# Runs the demo in a distributed schema of a Citus: CITUS_URL=postgres://user:password@coordinator/database make test-citus
# The schema rastro_test_citus is made and dropped. Nothing else of the database is touched.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
cell=rastro_test_citus

[ -n "${CITUS_URL:-}" ] || die "CITUS_URL is not set: the coordinator of a Citus 12 or later, such as" \
    "postgres://user:password@coordinator:5432/rastro. There is nothing to test without one (deploy/citus/README.md)."
case "$CITUS_URL" in *\?*) die "CITUS_URL must come without parameters: this script adds its own." ;; esac
command -v psql >/dev/null || die "psql is needed. Debian/Ubuntu: sudo apt install postgresql-client"
sql() { PGOPTIONS=--client-min-messages=warning psql "$CITUS_URL" -qXAt -v ON_ERROR_STOP=1 "$@"; }
version=$(sql -c "SELECT extversion FROM pg_extension WHERE extname = 'citus'") || die "CITUS_URL leads nowhere (above)."
[ -n "$version" ] || die "the database of CITUS_URL has no extension citus: CREATE EXTENSION citus, or name another one."

heading "Citus $version: a cell in a distributed schema"
sql -c "DROP SCHEMA IF EXISTS $cell CASCADE" -c "DROP SCHEMA IF EXISTS ${cell}_bi CASCADE"
trap 'scripts/down.sh; sql -c "DROP SCHEMA IF EXISTS $cell CASCADE" -c "DROP SCHEMA IF EXISTS ${cell}_bi CASCADE"' EXIT
cargo build --locked -p ingest-gateway
RASTRO__DATABASE__URL="$CITUS_URL" RASTRO__DATABASE__SCHEMA=$cell "$(target_dir)/debug/ingest-gateway" migrate
sql -v cell=$cell -f deploy/citus/distribute.sql
elsewhere=$(sql -c "SELECT count(*) FROM pg_class c WHERE relnamespace = '$cell'::regnamespace AND relkind IN ('r', 'p')
    AND NOT EXISTS (SELECT FROM pg_dist_partition p WHERE p.logicalrelid = c.oid)")
[ "$elsewhere" = 0 ] || die "$elsewhere tables of the schema were not distributed."

# What a URL's options set is left alone by the services, so that all of them, and the demo, use this schema.
heading "the demo on it"
RASTRO__DATABASE__PLAN_CACHE_MODE=force_custom_plan \
    DATABASE_URL="$CITUS_URL?options=-c%20search_path%3D$cell" scripts/lab.sh demo
