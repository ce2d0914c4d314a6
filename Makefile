# Every target is one script or one command; `make` alone lists them.
# One at a time even under `make -j`: they share the checkout's build, clusters and processes.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo down test check bench chaos coverage migrate openapi clean-local

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## send events through the real services to a stand-in for Meta, show the account, leave it running
	@scripts/demo.sh

down: ## stop what `make demo` started; its data stays
	@scripts/down.sh

test: ## formatting, clippy and all tests, on a scratch PostgreSQL of their own (ARGS='...' goes to cargo nextest)
	@scripts/test.sh $(ARGS)

check: ## formatting and clippy only, warnings are errors
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

chaos: ## break everything at random under load, then account for every event (SEED=n replays, DURATION=seconds)
	@scripts/chaos.sh

coverage: ## line coverage by all tests; fails under 90 % of core or 80 % of the whole
	@scripts/coverage.sh

bench: ## measure throughput, latency and cost against baselines, about twenty minutes (QUICK=1: two to three)
	@scripts/bench.sh

migrate: ## bring the database (DATABASE_URL, else the demo's) to the newest schema
	@scripts/migrate.sh

openapi: ## write proto-docs/openapi.yaml anew from the code
	@cargo run --locked -q -p ingest-gateway -- openapi > proto-docs/openapi.yaml.new
	@mv proto-docs/openapi.yaml.new proto-docs/openapi.yaml

clean-local: ## stop everything and delete .local: private clusters with their data, logs, the demo's keys
	@scripts/down.sh --delete
