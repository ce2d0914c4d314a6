#!/usr/bin/env bash
# Line coverage by all tests, of each crate, of core and of the whole; fails under 90 (core) or 80 (whole) per cent.
# Processes that the tests spawn count as well. Crates that are tools for testing and showing are left out.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=test-services.sh
. "$ROOT/scripts/test-services.sh"
cd "$ROOT"

TOOLS='sandbox|test-support|lab'
PROFILES="$LOCAL/coverage"

# The LLVM tools must be of rustc's own major version: older ones cannot read its profiles.
find_llvm() {
    local major folder
    major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    for folder in "$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin" \
        "/usr/lib/llvm-$major/bin"; do
        if [ -x "$folder/llvm-profdata" ] && [ -x "$folder/llvm-cov" ]; then
            llvm="$folder"
            return
        fi
    done
    [ "${1:-}" != again ] || die "LLVM $major's llvm-profdata and llvm-cov are needed: rustup component add llvm-tools"
    "$ROOT/scripts/install.sh" llvm
    find_llvm again
}

find_llvm
start_test_services

export RUSTC_WORKSPACE_WRAPPER="$ROOT/scripts/rustc-coverage.sh"
# One file per process and binary: services that the tests start write theirs too.
export LLVM_PROFILE_FILE="$PROFILES/%p-%m.profraw"
rm -rf "$PROFILES"
mkdir -p "$PROFILES"

heading "tests, with coverage counters"
cargo build --workspace --lib --bins --tests --locked
# Without the lock (9): a process that a broken test leaves behind must not block the next run.
cargo nextest run --workspace --locked 9>&-
# Nothing is compiled here; cargo only names what it built above.
objects=()
while IFS= read -r program; do
    objects+=(--object "$program")
done < <(cargo build --workspace --lib --bins --tests --locked --quiet --message-format json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')

heading "line coverage"
"$llvm/llvm-profdata" merge --sparse "$PROFILES"/*.profraw -o "$PROFILES/all.profdata"
"$llvm/llvm-cov" export --format=lcov --instr-profile "$PROFILES/all.profdata" "${objects[@]}" >"$PROFILES/lcov.info"
find "$PROFILES" -name '*.profraw' -delete

# lcov's SF names a file; LF and LH count its lines and those that ran.
awk -v crates="$ROOT/crates/" -v tools="^($TOOLS)\$" '
    /^SF:/ {
        name = substr($0, 4); crate = ""
        if (index(name, crates) == 1) {
            split(substr(name, length(crates) + 1), part, "/")
            if (part[2] == "src" && part[1] !~ tools) crate = part[1]
        }
    }
    /^LF:/ && crate != "" { lines[crate] += substr($0, 4); lines["whole"] += substr($0, 4) }
    /^LH:/ && crate != "" { hit[crate] += substr($0, 4); hit["whole"] += substr($0, 4) }
    function show(what, floor,    percent) {
        percent = lines[what] ? 100 * hit[what] / lines[what] : 0
        printf "%-20s %6.2f %%  (%d of %d lines)%s\n", what, percent, hit[what], lines[what], \
            percent < floor ? "  below " floor " %" : ""
        return percent < floor
    }
    END {
        for (crate in lines) if (crate != "whole" && crate != "core") show(crate, 0)
        low = show("core", 90)
        low += show("whole", 80)
        exit low > 0
    }
' "$PROFILES/lcov.info"
