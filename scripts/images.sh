#!/usr/bin/env bash
# Builds the container images, one a service: scripts/images.sh [SERVICE...]
# Variables, all optional:
#   ENGINE=podman|docker   else whichever is there
#   IMAGE_PREFIX=...       registry and path before the service's name, else localhost/rastro, which no engine pulls from
#   IMAGE_TAG=...          else the version of the workspace
#   BUILD_IMAGE=...        an image with Rust and a C compiler, else Docker's official one (scripts/base-images.sh makes one
#                          of this machine where no registry can be reached)
#   BUILD_ARGS='...'       more arguments for the engine's `build`, such as --network=host
#   SOURCE=https://...     where the source is, for the images' labels
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=containers.sh
. "$ROOT/scripts/containers.sh"
cd "$ROOT"
pick_engine

version=$(workspace_version)
prefix="${IMAGE_PREFIX:-localhost/rastro}" tag="${IMAGE_TAG:-$version}"
# What is not committed has no revision that anybody could look up.
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
if [ -n "$(git status --porcelain -- Cargo.toml Cargo.lock crates migrations deploy/build.sh 2>/dev/null)" ]; then
    revision="$revision-modified"
fi
arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE=${SOURCE:-unknown}")
if [ -n "${BUILD_IMAGE:-}" ]; then arguments+=(--build-arg "BUILD_IMAGE=$BUILD_IMAGE"); fi
# Podman leaves the health check away in OCI's own format, and compiles anew without layers.
if [ "$ENGINE" = podman ]; then arguments+=(--format docker --layers --pull=missing); fi
read -ra more <<<"${BUILD_ARGS:-}"

services=("$@")
if [ ${#services[@]} = 0 ]; then
    for file in deploy/*/Dockerfile; do
        service=$(basename "$(dirname "$file")")
        services+=("$service")
    done
fi
for service in "${services[@]}"; do
    [ -f "deploy/$service/Dockerfile" ] || die "there is no deploy/$service/Dockerfile"
    heading "image $prefix/$service:$tag ($ENGINE)"
    "$ENGINE" build -f "deploy/$service/Dockerfile" -t "$prefix/$service:$tag" "${arguments[@]}" ${more[@]+"${more[@]}"} .
done
heading "images"
for service in "${services[@]}"; do
    bytes=$("$ENGINE" image inspect --format '{{.Size}}' "$prefix/$service:$tag")
    printf '%-40s %6.1f MB\n' "$prefix/$service:$tag" "$(awk "BEGIN { print $bytes / 1e6 }")"
    # More would mean that something got in that does not belong there.
    [ "$bytes" -le 30000000 ] || die "$service is larger than 30 MB"
done

# What is in them: a list for whoever must know (CycloneDX, target/sbom), and a look into every layer for what must not be.
if ! python3 -c 'import tomllib' 2>/dev/null; then
    say "without Python 3.11 or later there is no list of what is in them, and no look into their layers."
    exit
fi
mkdir -p target/sbom
saved=$(mktemp "${TMPDIR:-/var/tmp}/rastro-image.XXXXXX")
trap 'rm -f "$saved"' EXIT
shopt -s nullglob
secrets=(deploy/secrets/* deploy/overlays/*/secrets/*)
for service in "${services[@]}"; do
    package=$service
    [ "$service" != sandbox ] || package=rastro-sandbox
    python3 deploy/sbom.py "$package" "target/sbom/$service.cdx.json"
    rm -f "$saved"
    "$ENGINE" save -o "$saved" "$prefix/$service:$tag" >/dev/null
    python3 deploy/tests/layers.py "$saved" "$package" ${secrets[@]+"${secrets[@]}"} || die "$service is not fit to be published"
done
