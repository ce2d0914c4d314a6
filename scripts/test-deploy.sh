#!/usr/bin/env bash
# Checks images, manifests, compose and what watches them, without a cluster or a container engine: scripts/test-deploy.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
"$ROOT/scripts/install.sh" deploy-tests
PATH="$LOCAL/bin:$PATH:$LOCAL/venv/bin"
python="$LOCAL/venv/bin/python"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

heading "manifests, images, compose, alerts"
# A copy, so that secrets of this checkout's own are neither needed nor read.
cp -a deploy "$work/deploy"
rm -rf "$work"/deploy/secrets "$work"/deploy/overlays/*/secrets
"$ROOT/scripts/secrets.sh" "$work/deploy/overlays/laptop/secrets" 2>/dev/null
for overlay in laptop production cells; do
    kubectl kustomize "$work/deploy/overlays/$overlay" >"$work/$overlay.yaml"
done
# The two cells differ in names only.
kubectl kustomize "$work/deploy/overlays/cells/a" >"$work/cell.yaml"
"$python" deploy/tests/policy.py "$work/laptop.yaml" "$work/production.yaml" "$work/cells.yaml"
"$python" deploy/tests/policy.py --self-test "$work/production.yaml"
"$python" deploy/tests/schema.py 1.29 "$work/laptop.yaml" "$work/production.yaml" "$work/cell.yaml"
"$python" deploy/tests/config.py "$work/laptop.yaml" "$work/production.yaml" "$work/cells.yaml"
"$python" deploy/tests/compose.py
"$python" deploy/tests/start.py
"$python" deploy/tests/docs.py
"$python" deploy/tests/layers.py --self-test
"$python" deploy/tests/contents.py
"$python" deploy/tests/observe.py "$(command -v promtool)"
"$LOCAL/venv/bin/yamllint" -c deploy/tests/yamllint.yaml -s "$work"/deploy
hadolint deploy/*/Dockerfile

# Nobody's secrets in a manifest that can be published.
for secret in "$work"/deploy/overlays/laptop/secrets/{database_password,sealing_keys,pepper,secret_key,admin_key}; do
    ! grep -qF -- "$(cat "$secret")" "$work/production.yaml" "$work/cells.yaml" || die "a secret is in a manifest"
done
say "    deploy/ is in order"
