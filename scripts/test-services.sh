# shellcheck shell=bash
# What the tests need around them, for test.sh and coverage.sh. Sourced after lib.sh.

TEST_POSTGRES="$LOCAL/test/postgres"

# Installs the test tools and starts a scratch cluster; it is stopped when the script ends, however it ends.
start_test_services() {
    "$ROOT/scripts/install.sh" cc nextest python-tests node-tests chromium pgbouncer
    RASTRO_TEST_NODE=$("$ROOT/scripts/install.sh" node)
    export RASTRO_TEST_PYTHON="$LOCAL/venv/bin/python" RASTRO_TEST_NODE
    # Someone who has a server for tests names its maintenance database, and no cluster is made.
    if [ -z "${RASTRO_TEST_DATABASE_URL:-}" ]; then
        wait_for_other_runs
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        trap '"$ROOT/scripts/postgres.sh" stop "$TEST_POSTGRES"' EXIT
        # Without the lock (9): the server must not hold it longer than this script does.
        RASTRO_TEST_DATABASE_URL=$("$ROOT/scripts/postgres.sh" start "$TEST_POSTGRES" --scratch 9>&-)
    fi
    export RASTRO_TEST_DATABASE_URL
}

# One run at a time in a checkout: the first to end would stop the cluster under the other.
wait_for_other_runs() {
    mkdir -p "$LOCAL/test"
    command -v flock >/dev/null || return 0 # macOS has none; cargo's own lock keeps most of the peace
    exec 9>"$LOCAL/test/lock"
    flock -n 9 && return
    say "another test run is under way in this checkout; waiting for it to end."
    flock 9
}
