#!/usr/bin/env bash
# For machines that reach no container registry, but Debian's packages: makes of this machine's own Rust and of Debian
# packages what is otherwise pulled. As root: scripts/base-images.sh build|postgres
#   build     localhost/rastro-build: Rust as installed here, a C compiler, the certificate authorities of this machine
#   postgres  localhost/rastro-postgres: PostgreSQL of Debian, started as the official image is (POSTGRES_USER, ..._PASSWORD_FILE, ..._DB)
# Then: BUILD_IMAGE=localhost/rastro-build make images. Images built so trust whom this machine trusts.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=containers.sh
. "$ROOT/scripts/containers.sh"
pick_engine
[ "$(id -u)" = 0 ] || die "a system tree can be made only as root"
work="${WORK:-/var/tmp/rastro-base-images}"
mkdir -p "$work"

# A Debian with these packages in $work/tree, made once of a plain one.
tree() {
    if [ ! -d "$work/plain/etc" ]; then
        command -v debootstrap >/dev/null || die "debootstrap is needed: apt install debootstrap"
        step "a plain Debian (a minute and a half)" debootstrap --variant=minbase bookworm "$work/plain"
    fi
    rm -rf "$work/tree"
    cp -a "$work/plain" "$work/tree"
    cp /etc/resolv.conf "$work/tree/etc/"
    # Of the official PostgreSQL image, by number too; Debian's package takes the user that is there.
    chroot "$work/tree" sh -c 'groupadd -r -g 999 postgres && useradd -r -u 999 -g 999 -d /var/lib/postgresql postgres'
    step "packages: $*" chroot "$work/tree" sh -c "apt-get -qq update && apt-get -qq install -y --no-install-recommends $* && apt-get clean"
}

# Makes the image `$1` of the tree, with these settings. A path of a few hundred megabytes is read once and not kept.
import() {
    local name="$1" changes=() setting
    shift
    for setting in "$@"; do changes+=(--change "$setting"); done
    tar -C "$work/tree" -c . | "$ENGINE" import "${changes[@]}" - "$name"
    rm -rf "$work/tree"
}

case "${1:-}" in
    build)
        tree gcc libc6-dev ca-certificates
        mkdir -p "$work/tree/usr/local/cargo"
        cp -a "$(rustc --print sysroot)" "$work/tree/usr/local/rust"
        rm -rf "$work/tree/usr/local/rust/share"
        cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$work/tree/etc/ssl/certs/ca-certificates.crt"
        import localhost/rastro-build 'ENV PATH=/usr/local/rust/bin:/usr/bin:/bin:/usr/sbin:/sbin' 'ENV CARGO_HOME=/usr/local/cargo'
        ;;
    postgres)
        tree postgresql
        cat >"$work/tree/usr/local/bin/entry" <<'SCRIPT'
#!/bin/bash
# The part of the official image's start that Rastro uses: makes the cluster, its user and its database at the first start.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin)
data=/var/lib/postgresql/data
run() { if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi; }
if [ "${1:-postgres}" != postgres ]; then exec "$@"; fi
if [ ! -f "$data/PG_VERSION" ]; then
    mkdir -p "$data"
    if [ "$(id -u)" = 0 ]; then chown postgres: "$data"; fi
    cp "$POSTGRES_PASSWORD_FILE" /tmp/password
    if [ "$(id -u)" = 0 ]; then chown postgres: /tmp/password; fi
    run "$bin/initdb" -D "$data" -U "$POSTGRES_USER" --pwfile=/tmp/password -A scram-sha-256 -E UTF8
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
    run "$bin/pg_ctl" -D "$data" -w -o '-c listen_addresses= -c unix_socket_directories=/tmp' start
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") "$bin/createdb" -h /tmp -U "$POSTGRES_USER" "$POSTGRES_DB"
    run "$bin/pg_ctl" -D "$data" -w stop
fi
shift || true
if [ "$(id -u)" = 0 ]; then exec setpriv --reuid postgres --regid postgres --clear-groups "$bin/postgres" -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"; fi
exec "$bin/postgres" -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
SCRIPT
        chmod 755 "$work/tree/usr/local/bin/entry"
        import localhost/rastro-postgres 'ENTRYPOINT ["/usr/local/bin/entry"]' 'CMD ["postgres"]' 'STOPSIGNAL SIGINT' 'ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'
        ;;
    *) die "usage: scripts/base-images.sh build|postgres" ;;
esac
