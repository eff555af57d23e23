# The few things that one does with this repository. `make` alone lists them.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

.PHONY: help run test lint bench image deps

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

run: ## build the release binary and start it on this machine's own logs and metrics
	$(CARGO) run --release

test: deps ## install what the tests need (Debian) and run all of them
	$(CARGO) test --workspace
	cd tests/browser && npm ci --no-audit --no-fund && npm test

lint: ## rustfmt, clippy, the TypeScript compiler
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd web && npm ci --no-audit --no-fund && npm run check

bench: ## all benchmarks; bars are in docs/ARCHITECTURE.md
	$(CARGO) bench --workspace

image: ## container image yagura:dev
	docker build -f deploy/Dockerfile -t yagura:dev .

deps:
	deploy/install-test-tools.sh
