#!/usr/bin/env bash
# rustc with coverage counters, for the workspace's own crates only: cargo calls it as RUSTC_WORKSPACE_WRAPPER
# (see coverage.sh). Unlike RUSTFLAGS this leaves the dependencies as `make test` built them.
exec "$@" -C instrument-coverage
