# shellcheck shell=bash
# Which container engine there is, for images.sh and compose.sh. Sourced after lib.sh.

# Sets ENGINE to podman or docker, whichever is there and can build our Dockerfiles; ENGINE=docker before the command chooses.
pick_engine() {
    if [ -n "${ENGINE:-}" ]; then
        command -v "$ENGINE" >/dev/null || die "ENGINE=$ENGINE is not there."
    elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
        ENGINE=docker
    elif command -v podman >/dev/null; then
        ENGINE=podman
    else
        if command -v docker >/dev/null; then
            die "Docker is installed, but does not answer: is it started, and may you use it?" \
                "\`docker info\` says more: $(docker info 2>&1 | grep -i 'cannot connect\|denied' | head -1)"
        fi
        die "neither podman nor Docker was found. Debian/Ubuntu: sudo apt install podman podman-compose"
    fi
    [ "$ENGINE" != docker ] || export DOCKER_BUILDKIT=1
}

# The version of the workspace, which all its crates share.
workspace_version() { sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml"; }
