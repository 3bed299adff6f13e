# Two commands do all on a fresh Linux or macOS machine with Python >= 3.11 and make:
#
#   make demo    run the quickstart notebook and write it as a web page
#   make test    set up and run all checks and tests
#
# PYTHON=/path/to/python3.12 make demo    to choose the interpreter

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell .ci/find_python --min 3.11)
COLAB_PYTHON ?= $(shell .ci/find_python 3.13 3.12)
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

# One thread per process: the tests run in two, and torch would take all cores in each.
# Compiled modules are kept, whatever the outer shell says: the tests start many Pythons.
TEST_ENV := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
PYTEST_OPTIONS ?=

.PHONY: help demo test test-cuda lint types layers tests venvs browser drivetools cudatools bench corpus wheel \
	screenshots changelog clean

help:
	@sed -n '/^# /,/^$$/s/^# \{0,1\}//p' Makefile | head -6
	@echo "  others: lint types layers tests test-cuda bench corpus wheel screenshots changelog clean"

# --- set-up; stamp files make a second run quick -----------------------------------

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || test -n "$(PYTHON)" || \
		{ echo "no Python >= 3.11 with venv was found; try: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; "$(PYTHON)" -m venv $(VENV); }
	@echo "installing tools, torch and colabmagic into $(VENV)"
	@$(PIP) -r requirements/dev.txt
	@$(PIP) --no-build-isolation -e .
	@touch $@

.venv-old/.ready: requirements/old-kernel.txt .ci/old_kernel
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 was found"; exit 1; }
	@echo "making .venv-old: IPython 7.34 with $(PYTHON)"
	@.ci/old_kernel .venv-old "$(PYTHON)" --torch
	@touch $@

# A machine without Python 3.13 and 3.12 goes on without this kernel; the tests say so.
.venv-colab/.ready: requirements/old-kernel.txt .ci/old_kernel
	@if test -n "$(COLAB_PYTHON)"; then \
		echo "making .venv-colab: IPython 7.34 with $(COLAB_PYTHON)"; \
		.ci/old_kernel .venv-colab "$(COLAB_PYTHON)" && touch $@; \
	else \
		echo "no python3.13 or python3.12 here: the Colab-like kernel is left out"; \
	fi

venvs: .venv-old/.ready .venv-colab/.ready

browser:
	@.ci/ensure_browser

drivetools:
	@.ci/ensure_drive_tools

cudatools:
	@.ci/ensure_cuda_tools

# --- what a person asks for ----------------------------------------------------------

demo: $(VENV)/.ready
	@$(BIN)/python .ci/demo.py

test: $(VENV)/.ready venvs browser drivetools cudatools lint types layers tests

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

layers: $(VENV)/.ready
	PYTHONUTF8=1 $(BIN)/lint-imports --no-logo

tests: $(VENV)/.ready
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_OPTIONS)

# Every toolkit that can be fetched here: 1.2 GB once, kept in the user's cache folder.
test-cuda: $(VENV)/.ready
	$(TEST_ENV) $(BIN)/python -m pytest -m cuda_toolkits tests/cuda $(PYTEST_OPTIONS)

bench: $(VENV)/.ready
	@for script in benchmarks/[a-z]*.py; do $(BIN)/python "$$script" || exit 1; done

corpus: $(VENV)/.ready
	@$(BIN)/python -m tests.corpus

wheel: $(VENV)/.ready
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist

# The pictures in the README, from a real browser.
screenshots: $(VENV)/.ready browser
	@$(BIN)/python .ci/screenshots.py
	@$(BIN)/python .ci/report_screenshots.py
	@$(BIN)/python .ci/cuda_screenshots.py

changelog: $(VENV)/.ready
	@$(BIN)/towncrier build --draft --version next

clean:
	rm -rf build dist .venv .venv-old .venv-colab
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
