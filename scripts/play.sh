#!/usr/bin/env bash
# Runs the manifests of deploy/overlays/laptop under Podman, without a cluster, sends events through, and takes all of it
# down again: scripts/play.sh [SERVICE...]     As root; the images must be there (make images).
#   POSTGRES_IMAGE=...   else Docker's official one (scripts/base-images.sh makes one where no registry can be reached)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
command -v podman >/dev/null || die "podman is needed. Debian/Ubuntu: sudo apt install podman"
"$ROOT/scripts/install.sh" deploy-tests
PATH="$PATH:$LOCAL/venv/bin"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a deploy "$work/deploy"
rm -rf "$work"/deploy/overlays/laptop/secrets
secrets="$work/deploy/overlays/laptop/secrets"
"$ROOT/scripts/secrets.sh" "$secrets" 2>/dev/null
# The name that Podman gives to PostgreSQL's pod.
sed 's/@postgres:/@postgres-pod-0:/' "$secrets/database_url" >"$work/url" && cp -f "$work/url" "$secrets/database_url"
kubectl kustomize "$work/deploy/overlays/laptop" >"$work/laptop.yaml"
heading "the laptop overlay under podman"
"$LOCAL/venv/bin/python" deploy/tests/play.py "$work/laptop.yaml" \
    "${POSTGRES_IMAGE:-docker.io/library/postgres:17}" "$secrets" "$@"
