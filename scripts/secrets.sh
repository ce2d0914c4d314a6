#!/usr/bin/env bash
# Makes the secrets that an installation needs and does not have yet, a file each: scripts/secrets.sh DIR
# What is there stays: a sealing key or a pepper that changes makes stored data unreadable. DIR is for you alone (0700); the
# files in it can be read by whoever they are mounted for, in containers another user than you.
#   database_password, database_url        for user and database rastro on host postgres
#   sealing_keys, pepper                    keep copies elsewhere: without them access tokens and contacts are lost
#   secret_key, publishable_key, admin_key  of servers, of browsers, of operators
#   dataset_id, access_token                yours to fill in, from Events Manager; until then a dataset of the sandbox
#   grafana_password                        of Grafana's user admin
#   bi_password                             of the role bi_reader, with which Grafana reads the views of schema bi
#   slack_webhook_url, smtp_url, heartbeat_url, mercado_pago_token, mercado_pago_webhook_secrets,
#   meta_ads_token, google_ads_developer_token, google_ads_client_secret, google_ads_refresh_token, replica_url
#                                           empty: yours, if any
#   sandbox_token                           what opens the stand-in for Meta; no secret
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# = 1 ] || die "usage: scripts/secrets.sh DIR"
mkdir -p "$1"
chmod 700 "$1"
cd "$1"

# Writes what comes in to the file of this name, unless there is one. Whole or not at all.
make() {
    local content
    content=$(cat)
    [ ! -e "$1" ] || return 0
    printf %s "$content" >"$1.new"
    chmod 444 "$1.new"
    mv "$1.new" "$1"
    say "    made $1"
}
random_hex 24 | make database_password
printf 'postgres://rastro:%s@postgres:5432/rastro' "$(cat database_password)" | make database_url
head -c 32 /dev/urandom | base64 | make sealing_keys
random_hex 32 | make pepper
printf 'sk_%s' "$(random_hex 20)" | make secret_key
printf 'pk_%s' "$(random_hex 20)" | make publishable_key
printf 'ak_%s' "$(random_hex 20)" | make admin_key
random_hex 12 | make grafana_password
random_hex 24 | make bi_password
printf sandbox | make sandbox_token
printf sandbox | make access_token
printf 100000000000001 | make dataset_id
# Empty: none.
printf '' | make slack_webhook_url
printf '' | make smtp_url
printf '' | make heartbeat_url
printf '' | make mercado_pago_token
printf '' | make mercado_pago_webhook_secrets
printf '' | make meta_ads_token
printf '' | make google_ads_developer_token
printf '' | make google_ads_client_secret
printf '' | make google_ads_refresh_token
printf '' | make replica_url
# Those that were put here by hand, too: `cp` makes a file with the mode of its source, which containers may not read.
find . -maxdepth 1 -type f ! -perm 444 -exec chmod 444 {} +
