# One-liners; what needs more than a line is in scripts/ or in `cargo xtask`.
# Options of a target go into ARGS: make run ARGS='--data /tmp/mail --port-base 3000'

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# `make test NAME` is `make test FILTER=NAME`.
ifeq (test,$(firstword $(MAKECMDGOALS)))
FILTER ?= $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
$(if $(FILTER),$(eval .PHONY: $(FILTER))$(eval $(FILTER): test ; @:))
endif

.PHONY: help setup run test check gen bench smoke fmt audit

help: ## Shows the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 8

setup: ## Installs what a build and the local server need
	@scripts/setup run

run: ## Builds a release and starts a local server with its own Postgres
	@scripts/run $(ARGS)

test: ## Runs all checks and tests; `make test NAME` only the tests whose name has NAME in it
	@scripts/test $(FILTER)

check: ## Runs the checks: format, clippy, rules, generated files, licences, other linters
	@scripts/check

gen: ## Writes the generated files anew: core/.sqlx, openapi/posthouse.json, sdk-ts/src/generated
	@cargo xtask sqlx && cargo xtask openapi && scripts/gen-sdk

bench: ## Measures a release build, one JSON line per figure
	@scripts/bench $(ARGS)

smoke: ## Runs the bench for a few seconds on a debug build, to see that all parts work together
	@scripts/bench --debug --quick $(ARGS)

fmt: ## Formats the code
	@cargo fmt --all

audit: ## Looks for known vulnerabilities; needs the Internet
	@cargo deny check advisories
