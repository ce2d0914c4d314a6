#!/usr/bin/env bash
# The browser's side in Firefox and WebKitGTK, against the real gateway: scripts/test-browsers.sh
# Chromium has many more tests, which are part of `make test`.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=test-services.sh
. "$ROOT/scripts/test-services.sh"
cd "$ROOT"

NAMES="loja.example.com.br track.example.com.br"

start_test_services
"$ROOT/scripts/install.sh" browsers
# The events that the pages send go on to the sandbox; the tests build their own package's programs only.
cargo build --locked -p capi-forwarder 9>&-
run=(cargo nextest run --locked -p ingest-gateway --features all-browsers --test engines)
# The pages' names must lead here: cookies are those of a registrable domain, and of these browsers only Firefox can be told of names.
# In a mount namespace the file of names is another one for this run, and for nobody else.
if getent hosts track.example.com.br >/dev/null 2>&1; then
    "${run[@]}" 9>&-
elif [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
    hosts=$(mktemp "${TMPDIR:-/tmp}/rastro-hosts.XXXXXX")
    { cat /etc/hosts && echo "127.0.0.1 $NAMES"; } >"$hosts"
    chmod 644 "$hosts"
    unshare --mount bash -c 'mount --bind "$1" /etc/hosts && rm -f "$1" && shift && exec "$@"' bash "$hosts" "${run[@]}" 9>&-
else
    die "these names must lead to this machine; add to /etc/hosts: 127.0.0.1 $NAMES"
fi
