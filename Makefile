# The front door. Each target is a line or two over a script, cargo or npm, so that both habits work.
.DEFAULT_GOAL := help
.PHONY: help setup run dev build test lint bindings api-test api-fuzz fuzz torture load soak viewer pictures

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Check the tools of this machine and fetch what is missing
	@scripts/setup.sh test

run: ## Set up, build and serve everything on http://127.0.0.1:3001
	@scripts/run.sh

dev: ## The same, rebuilt on each change, with Vite's hot reload
	@scripts/setup.sh run
	@exec node scripts/dev.mjs

build: ## Make target/release/slipway, with the web client inside
	@scripts/build.sh

test: ## Everything that CI checks: lint, all tests on both databases, end to end
	@scripts/test.sh all

lint: ## The static part of `make test`
	@scripts/test.sh lint

api-test: ## The API as its OpenAPI document says it: lint, then requests made from it (part of `make test`)
	@scripts/test.sh api

api-fuzz: ## The same with 1,000 examples an operation, other ones each time
	@scripts/setup.sh test
	@scripts/web.sh
	@cargo build --locked
	@node tests/openapi/run.mjs 1000

torture: ## Break a whole installation for MINUTES, as SEED says, ON=embedded, cluster or both, and check what it promises
	@scripts/setup.sh test
	@scripts/web.sh
	@cargo build --locked
	@scripts/torture.sh "$(SEED)" "$(MINUTES)" "$(ON)"

load: ## Five abuses at full size: what they take, whether others are served (LOAD_SCALE=0.1 for less of it)
	@scripts/build.sh
	@scripts/soak.sh load

soak: ## A mix of everything for MINUTES=20 on both databases, plotted in target/soak: is it flat?
	@scripts/build.sh
	@scripts/soak.sh soak

viewer: ## How fast the log viewer is on a log of LINES=5000000, in a real browser
	@scripts/build.sh
	@SLIPWAY_LINES=$(or $(LINES),5000000) SLIPWAY_TEST_BIN=$(CURDIR)/target/release/slipway SLIPWAY_TEST_REDIS_SERVER=$(CURDIR)/.cache/valkey/valkey-server \
	  npm run --silent --workspace tests/browser test -- src/log-figures.test.ts

pictures: ## Make the pictures of the documents anew, of real runs in a real browser; `make test` holds the pages against them
	@scripts/setup.sh test
	@scripts/web.sh
	@cargo build --locked
	@SLIPWAY_PICTURES=1 SLIPWAY_TEST_BIN=$(CURDIR)/target/debug/slipway SLIPWAY_TEST_REDIS_SERVER=$(CURDIR)/.cache/valkey/valkey-server \
	  npm run --silent --workspace tests/browser test -- src/pictures.test.ts

bindings: ## Write bindings/src/procedures.ts and bindings/openapi.json anew from the procedures
	@scripts/setup.sh run
	@scripts/web.sh
	@cargo run --quiet -- bindings

fuzz: ## What parses foreign bytes, with other values until MINUTES (10) are over
	@scripts/setup.sh test
	@scripts/web.sh
	@node scripts/postgres.mjs exec -- scripts/fuzz.sh $(MINUTES)
