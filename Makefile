# Every target is one script or one command; `make` alone lists them.
# One at a time even under `make -j`: they share the checkout's build, clusters and processes.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo down test test-clients test-browsers fuzz check bench lookup chaos drill-failover drill-upgrade audit coverage migrate openapi \
	images compose test-deploy clean-local

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## send events through the real services to a stand-in for Meta, show the account, leave it running
	@scripts/lab.sh demo

down: ## stop what `make demo` started; its data stays
	@scripts/down.sh

test: ## formatting, clippy and all tests, on a scratch PostgreSQL of their own (ARGS='...' goes to cargo nextest)
	@scripts/test.sh $(ARGS)

test-clients: ## the clients that are too large for `make test`: Segment's destinations (102 MB from npm)
	@scripts/test-clients.sh

test-browsers: ## the browser's side in Firefox and WebKitGTK too, installed on Debian; Chromium is part of `make test`
	@scripts/test-browsers.sh

fuzz: ## the parsers against ever new wrong input (SECONDS=n for each, 60; SEED=text tries the same again)
	@scripts/fuzz.sh "$(SECONDS)" "$(SEED)"

check: ## formatting and clippy only, warnings are errors
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

chaos: ## break everything at random under load, then account for every event (SEED=n replays, DURATION=seconds)
	@scripts/lab.sh chaos

drill-failover: ## kill the primary of two PostgreSQLs under load, promote the other, account for every event
	@scripts/lab.sh drill-failover

drill-upgrade: ## the last release (or PREVIOUS=commit) under load, migrated and replaced process by process
	@scripts/lab.sh drill-upgrade

images: ## build the container images with docker or podman (IMAGE_PREFIX=registry/path IMAGE_TAG=...; scripts/images.sh)
	@scripts/images.sh

compose: ## the whole system in containers on this machine; the first start makes its secrets (deploy/compose.yaml)
	@scripts/compose.sh

test-deploy: ## check manifests, images, compose and alerts, without a cluster
	@scripts/test-deploy.sh

audit: ## licences, sources and banned crates of all dependencies (builds cargo-deny the first time)
	@scripts/install.sh deny
	@cargo deny --config .deny.toml check --hide-inclusion-graph bans licenses sources

coverage: ## line coverage by all tests; fails under 90 % of core or 80 % of the whole
	@scripts/coverage.sh

bench: ## measure against baselines, 15 minutes (QUICK=1: four); BASELINE_BIN_DIR=folder compares with another build
	@scripts/lab.sh bench

lookup: ## find events by their ids among ten million (EVENTS=n: others) and time it
	@scripts/lab.sh lookup

migrate: ## bring the database (DATABASE_URL, else the demo's) to the newest schema
	@scripts/lab.sh migrate

openapi: ## write proto-docs/openapi.yaml anew from the code
	@cargo run --locked -q -p ingest-gateway -- openapi > proto-docs/openapi.yaml.new
	@mv proto-docs/openapi.yaml.new proto-docs/openapi.yaml

clean-local: ## stop everything and delete .local: private clusters with their data, logs, the demo's keys
	@scripts/down.sh --delete
