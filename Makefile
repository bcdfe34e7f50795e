# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo tour test test-all test-spdk check bench lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installed once per lock file: plain pip, hashes checked, nothing built but Holdfast itself.
$(VENV)/run.stamp: requirements/run.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@

setup: $(VENV)/run.stamp ## leave the command at .venv/bin/holdfast
setup-dev: $(VENV)/dev.stamp ## the same, with what the tests and checks need

demo: setup ## the whole story on two simulated targets, for you to play with
	$(BIN)/holdfast demo

tour: setup ## the same story without a person; ends by itself
	$(BIN)/holdfast demo --tour

check: setup-dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: check ## checks and the everyday tests (under ten minutes on two cores)
	$(BIN)/pytest -m "not slow and not spdk"

test-all: check ## every test that needs no real target
	$(BIN)/pytest -m "not spdk"

test-spdk: setup-dev ## conformance, end-to-end and real I/O on a real target: make test-spdk SPDK_TGT=/path/to/nvmf_tgt
	@test -n "$(SPDK_TGT)" || { echo "say which target: make test-spdk SPDK_TGT=/path/to/nvmf_tgt"; exit 2; }
	SPDK_TGT="$(SPDK_TGT)" $(BIN)/pytest -m spdk

bench: setup-dev ## timings, as ratios within one run (SPDK_TGT=… adds a real target)
	SPDK_TGT="$(SPDK_TGT)" $(BIN)/python bench/run.py

lock: ## re-lock requirements (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate requirements/run.in -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate requirements/dev.in -o requirements/dev.txt

clean: ## forget the environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
