# shellcheck shell=bash
# What demo.sh, migrate.sh and down.sh share about the demo: its folder, secrets and database. Sourced after lib.sh.

DEMO="$LOCAL/demo"
DEMO_POSTGRES="$DEMO/postgres"
# shellcheck disable=SC2034 # read by the process functions of lib.sh
RUN_DIR="$DEMO/run"

# Loads the demo's secrets, made up once per checkout and readable by nobody else. Some are only known to the
# database as hashes or sealed under the key, so the file must live as long as the data does.
load_secrets() {
    mkdir -p "$DEMO"
    if [ ! -f "$DEMO/env" ]; then
        (
            umask 077
            cat >"$DEMO/env.new" <<ENV
# Made by scripts/demo-services.sh for this checkout's demo; nothing here opens anything outside of it.
SEALING_KEY=$(head -c 32 /dev/urandom | base64)
# Random digits: two checkouts that share a database must not share a dataset.
DATASET_ID=1$(od -An -N7 -tu8 /dev/urandom | tr -d ' \n' | tail -c 14)
ACCESS_TOKEN=EAA$(random_hex 24)
SECRET_KEY=sk_$(random_hex 24)
PUBLISHABLE_KEY=pk_$(random_hex 24)
ENV
        )
        mv "$DEMO/env.new" "$DEMO/env"
    fi
    # shellcheck source=/dev/null
    . "$DEMO/env"
}

# Sets `database`: the one the user names with DATABASE_URL, else the demo's own private cluster.
find_database() {
    database="${DATABASE_URL:-}"
    if [ -n "$database" ]; then
        say "    using the database that DATABASE_URL names"
    else
        database=$("$ROOT/scripts/postgres.sh" start "$DEMO_POSTGRES" --durable)
    fi
}

# Brings the database to the newest schema. The gateway carries the migrations.
migrate() {
    RASTRO__DATABASE__URL="$database" RASTRO__DATABASE__SEALING_KEY="$SEALING_KEY" "$(target_dir)/debug/ingest-gateway" migrate
}
