# Everything is reached through here: `make help` lists it. Nothing is redone that has not changed.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
STAMPS := .venv/.stamps

.PHONY: help setup engine demo test lint types compile lock docs clean distclean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: engine ## Virtual environment from the lock, the command line, and the Pulumi engine

demo: setup ## The whole path on the embedded cloud: three environments, one model, two promotions
	@$(BIN)/lockstep demo

# Two workers a core: the tests wait for processes and clocks about as much as they compute.
test: setup ## All tests
	@$(BIN)/python -m pytest -n $$($(BIN)/python -c 'import os; print(2 * (os.cpu_count() or 1))') --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(STAMPS)/packages ## Style
	@$(BIN)/ruff check .

types: $(STAMPS)/packages ## Types
	@$(BIN)/mypy

compile: $(STAMPS)/project ## Generated files that are committed: pipeline definitions, the schema of stack files, the docs of commands
	@$(BIN)/lockstep pipeline compile
	@$(BIN)/lockstep schema --write
	@$(BIN)/python -m lockstep.command_docs --write

lock: $(STAMPS)/venv ## requirements.txt from requirements.in
	@$(BIN)/uv pip compile requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --quiet --output-file requirements.txt

clean: ## Stop the embedded cloud of this checkout and forget what it kept; caches outside the checkout stay
	@if [ -x $(BIN)/lockstep ]; then $(BIN)/lockstep cloud down --forget; fi

distclean: clean ## Also remove the virtual environment and what tools left behind
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

engine: $(STAMPS)/project
	@$(BIN)/python -m local.engine >/dev/null

$(STAMPS)/venv: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; found $$($(PYTHON) --version 2>&1). Try make PYTHON=..." >&2; exit 1; }
	@[ -x $(BIN)/python ] || { echo "Making a virtual environment in .venv"; $(PYTHON) -m venv .venv; }
	@[ "$$($(BIN)/uv --version 2>/dev/null | cut -d ' ' -f 2)" = "$(UV_VERSION)" ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/packages: requirements.txt $(STAMPS)/venv
	@echo "Installing the packages of requirements.txt"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes requirements.txt
	@touch $@

$(STAMPS)/project: pyproject.toml $(STAMPS)/packages
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
