#!/usr/bin/env bash
# The whole system in containers: scripts/compose.sh [up|down|...] (deploy/compose.yaml). Without arguments: makes what the
# first start needs (secrets, settings, images), starts everything, waits until it is well, and says where it is.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=containers.sh
. "$ROOT/scripts/containers.sh"
cd "$ROOT"
pick_engine

if "$ENGINE" compose version >/dev/null 2>&1; then
    compose() { "$ENGINE" compose -f deploy/compose.yaml "$@"; }
elif [ "$ENGINE" = docker ] && command -v docker-compose >/dev/null; then
    compose() { docker-compose -f deploy/compose.yaml --env-file deploy/.env "$@"; }
elif [ "$ENGINE" = podman ] && command -v podman-compose >/dev/null; then
    compose() { podman-compose -f deploy/compose.yaml --env-file deploy/.env "$@"; }
else
    die "$ENGINE has no compose. Debian/Ubuntu: sudo apt install docker-compose (or podman-compose)"
fi

"$ROOT/scripts/secrets.sh" deploy/secrets
if [ ! -f deploy/.env ]; then
    sed "s/^IMAGE_TAG=.*/IMAGE_TAG=$(workspace_version)/" deploy/.env.example >deploy/.env
    say "    made deploy/.env"
fi
setting() { sed -n "s/^$1=//p" deploy/.env; }

case "${1:-up}:,$(setting COMPOSE_PROFILES),:$(setting DASHBOARD_TRUSTED_PROXIES)" in
    up:*,tls,*:) die "with the profile tls, deploy/.env must say where Caddy is: DASHBOARD_TRUSTED_PROXIES=172.16.0.0/12" \
        "(with PROXY_HEADER: your sign-on proxy's address alone). Else anybody's wrong keys close the sign-in for everybody." ;;
esac
if [ $# -gt 0 ]; then
    compose "$@"
    exit
fi

# Ports that this start will want and somebody else has, said before anything is started. Ours, if we run already, are ours.
if [ -z "$(compose ps -q 2>/dev/null)" ]; then
    wanted=(GATEWAY_PORT OPERATORS_PORT DASHBOARD_PORT)
    case ",$(setting COMPOSE_PROFILES)," in *,demo,*) wanted+=(SANDBOX_PORT) ;; esac
    case ",$(setting COMPOSE_PROFILES)," in *,observe,*) wanted+=(JAEGER_PORT PROMETHEUS_PORT GRAFANA_PORT) ;; esac
    for name in "${wanted[@]}"; do
        port=$(setting "$name")
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            die "port $port of this machine is taken. Give $name in deploy/.env another one, or stop whoever has it."
        fi
    done
    case ",$(setting COMPOSE_PROFILES)," in
        *,tls,*) for port in 80 443; do
            if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
                die "port $port of this machine is taken, and the profile tls needs it for certificates and visitors."
            fi
        done ;;
    esac
fi
prefix=$(setting IMAGE_PREFIX) tag=$(setting IMAGE_TAG) missing=()
for file in deploy/*/Dockerfile; do
    service=$(basename "$(dirname "$file")")
    "$ENGINE" image inspect "$prefix/$service:$tag" >/dev/null 2>&1 || missing+=("$service")
done
if [ ${#missing[@]} -gt 0 ]; then
    case "$prefix" in
        localhost/* | "${prefix##*/}")
            say "    builds ${#missing[@]} images: two minutes each on two cores, the first time"
            IMAGE_PREFIX="$prefix" IMAGE_TAG="$tag" "$ROOT/scripts/images.sh" "${missing[@]}"
            ;;
        *) heading "images come from $prefix" ;;
    esac
fi
compose up -d --remove-orphans

# Until every container with a health check is well.
deadline=$((SECONDS + 120)) unwell=''
while [ "$SECONDS" -lt "$deadline" ]; do
    unwell=$(compose ps -q | xargs "$ENGINE" inspect --format '{{if .State.Health}}{{.Name}} {{.State.Health.Status}}{{end}}' | grep -v ' healthy$' | grep . || true)
    [ -n "$unwell" ] || break
    sleep 1
done
[ -z "$unwell" ] || die "not well after two minutes: $unwell. Look at: scripts/compose.sh logs"
say ""
say "Events:    http://127.0.0.1:$(setting GATEWAY_PORT)/api/meta/conversions, with the key in deploy/secrets/secret_key"
say "Dashboard: http://127.0.0.1:$(setting DASHBOARD_PORT), with the key in deploy/secrets/admin_key"
case ",$(setting COMPOSE_PROFILES)," in
    *,demo,*) say "Arrived:   http://127.0.0.1:$(setting SANDBOX_PORT) (the stand-in for Meta)" ;;
esac
say "Stop:      scripts/compose.sh down        (data stays; \`down -v\` deletes it)"
