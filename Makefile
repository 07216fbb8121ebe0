# Vigie's daily commands. `make help` lists them.
VENV := .venv
BIN := $(VENV)/bin
# The lab makes namespaces and mounts.
ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help setup demo run test soak bench lint format docs lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## install what is missing: system packages, virtual environment, front-end assets
	@.ci/setup

demo: setup ## the console over three real KVM hosts on this machine (Ctrl-C stops and cleans all)
	@exec $(ROOT) $(BIN)/vigie demo

run: setup ## the server alone, on SQLite in ./var
	@VIGIE_DATA_DIR=$${VIGIE_DATA_DIR:-$(CURDIR)/var} exec $(BIN)/vigie serve

test: setup ## every test, on the lab's real hosts and both databases
	@exec $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --durations=25

soak: setup ## a long random suite by name: make soak SUITE=kills (races, restarts, schema, storage); SEED=n repeats a run
	@exec $(BIN)/python -m pytest "tests/soak/test_$(or $(SUITE),$(error name a suite: make soak SUITE=kills, races, restarts, schema or storage)).py" --long $(if $(SEED),--seed $(SEED))

bench: setup ## speed and memory against bare libvirt; prints tables and writes docs/performance.md
	@exec $(ROOT) $(BIN)/vigie bench --write docs/performance.md

lint: setup ## format check, lint, types, layers
	@$(BIN)/ruff format --check app tests migrations hatch_build.py
	@$(BIN)/djangofmt --check templates
	@$(BIN)/ruff check app tests migrations hatch_build.py
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## rewrite Python and templates in the house's format
	@$(BIN)/ruff format app tests migrations hatch_build.py
	@$(BIN)/djangofmt templates

docs: setup ## renew docs/settings.md and, from a running demo, docs/screenshots
	@$(BIN)/python -m tests.contract.settings_page > docs/settings.md
	@$(ROOT) $(BIN)/python -m app.lab.demo.screenshots docs/screenshots

lock: ## renew the lock files from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -o requirements-dev.lock
	uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -c requirements-dev.lock -o requirements.lock

clean: ## remove the virtual environment, fetched assets and caches
	rm -rf $(VENV) .make static/vendor .pytest_cache .mypy_cache .ruff_cache .hypothesis
