# Python to make the environment with: the first of these that is 3.11 or newer, or `make PYTHON=...`.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

VENV    ?= .venv
PEERS   ?= .venv-bench
WORKERS ?= 2

# The compiler hides what it runs from coverage, so coverage is taken in a run without it.
UNCOMPILED_TESTS ?= tests/test_core.py tests/test_runs.py tests/test_gradients.py tests/test_team.py \
	tests/test_layer_kinds.py tests/test_data_start.py tests/test_sparse.py
UNCOMPILED_MARKS ?= not compiled and not slow
COVERAGE_FLOOR   ?= 95

ifndef PYTHON
PYTHON := $(shell for python in $(CANDIDATES); do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)
endif
VERSION := $(if $(PYTHON),$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check

# A stamp says what the environment holds. The first carries the version: another Python, another environment.
MADE     := $(VENV)/.made-by-python-$(VERSION)
RUN_DEPS := $(VENV)/.installed
DEV_DEPS := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint types docs suite coverage trust trust-long format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN_DEPS) ## install chainrule into .venv and run `chainrule demo`
	@$(BIN)/chainrule demo

test: lint types docs suite coverage ## run every check: lint, types, site, suite, coverage

lint: $(DEV_DEPS) ## check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(DEV_DEPS) ## check the types
	$(BIN)/mypy

docs: $(DEV_DEPS) ## build the site in build/site; warnings are errors
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/site

suite: $(DEV_DEPS) ## run the tests
	$(BIN)/pytest -n $(WORKERS)

coverage: $(DEV_DEPS) ## run the tests without the compiler and measure coverage
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -n $(WORKERS) -m '$(UNCOMPILED_MARKS)' \
		--cov --cov-report=term-missing --cov-fail-under=$(COVERAGE_FLOOR) $(UNCOMPILED_TESTS)

trust: $(DEV_DEPS) ## measure what is promised: correctness, determinism, bad input
	@$(BIN)/python -m benchmarks.trust $(TRUST)

trust-long: $(DEV_DEPS) ## the same with all mutants: half an hour (TRUST="--write" renews docs/trust.md)
	@$(BIN)/python -m benchmarks.trust --long $(TRUST)

format: $(DEV_DEPS) ## sort the imports and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(PEERS)/.installed ## measure training steps beside other libraries (BENCH="--full": hours)
	@$(PEERS)/bin/python benchmarks/bench_steps.py $(BENCH)

clean: ## remove .venv, .venv-bench and everything else that was made
	rm -rf $(VENV) $(PEERS) build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(wildcard src tests benchmarks examples) -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@$(or $(PYTHON),python3) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo 'chainrule needs Python 3.11 or newer, and $(or $(PYTHON),python3) is $(or $(VERSION),not a Python that runs): name one with make PYTHON=...' >&2; exit 1; }
	@echo 'Making $(VENV) with Python $(VERSION).'
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(RUN_DEPS): $(MADE) pyproject.toml
	@echo 'Installing chainrule into $(VENV).'
	@$(PIP) install --editable .
	@touch $@

$(DEV_DEPS): $(MADE) pyproject.toml
	@echo 'Installing chainrule and its development tools into $(VENV).'
	@$(PIP) install --editable '.[dev]'
	@touch $(RUN_DEPS) $@

# Other libraries get an environment of their own, so that nothing of chainrule can come to depend on them.
$(PEERS)/.installed: pyproject.toml benchmarks/requirements.txt
	@$(or $(PYTHON),python3) -c '$(NEW_ENOUGH)'
	@echo 'Making $(PEERS): chainrule and the libraries that it is compared with.'
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install --editable . --requirement benchmarks/requirements.txt
	@touch $@
