# Everything runs in .venv, which the first target that needs it makes and fills from constraints.txt.
# `make PYTHON=/path/to/python3.12 test` chooses the interpreter of a new .venv.

VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STAMP := $(VENV)/.installed
ARGS ?=
WORKERS ?= auto
OUT ?= benchmark-output
PROTOCOL ?= ozdemir2018
SLICER ?= Slicer
TESTS = -n $(WORKERS) --dist loadfile -m "not slow and not gpu" --durations=10

# Idle OpenMP threads that spin slow every other process on the machine down.
OMP_WAIT_POLICY ?= PASSIVE
export OMP_WAIT_POLICY

.DEFAULT_GOAL := help
.PHONY: help install demo test coverage test-slow test-gpu lint format docs package test-slicer benchmarks

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## Install into .venv (the other targets do so by themselves)

demo: $(STAMP) ## Teach humerus, then scapula, on made-up scans and show what was kept
	"$(BIN)/incrementalseg" demo $(ARGS)

test: $(STAMP) ## Run the tests that need neither a GPU nor patience
	"$(BIN)/python" -m pytest $(TESTS) $(ARGS)

coverage: $(STAMP) ## Run the same tests, and fail where too little of library or panel is covered
	PYTHONUTF8=1 "$(BIN)/python" -m slipcover -m pytest $(TESTS) -m "not slow and not gpu and not traced" $(ARGS)
	"$(BIN)/python" -m pytest -m traced Testing/unit/engine/step
	"$(BIN)/python" .ci/coverage IncrementalSegLib=92 IncrementalSeg=85

test-slow: $(STAMP) ## Run the slow tests
	"$(BIN)/python" -m pytest -m "slow and not gpu" --timeout=3600 $(ARGS)

test-gpu: $(STAMP) ## Run the tests that need a CUDA device
	"$(BIN)/python" -m pytest -m gpu --timeout=600 $(ARGS)

lint: $(STAMP) ## Check format, style, import contracts and types
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/lint-imports"
	PYTHONPATH=IncrementalSeg "$(BIN)/lint-imports" --config .ci/panel-imports.toml
	"$(BIN)/mypy"

format: $(STAMP) ## Format the code and repair what can be repaired
	"$(BIN)/ruff" check --fix-only --exit-zero .
	"$(BIN)/ruff" format .

docs: $(STAMP) ## Build the documentation into site/; a warning is an error
	"$(BIN)/python" docs/_site/methods_table.py
	NO_MKDOCS_2_WARNING=1 "$(BIN)/python" -m mkdocs build $(ARGS)

package: $(STAMP) ## Build the wheel of release TAG and its notes into dist/
	@mkdir -p dist
	"$(BIN)/python" .ci/notes "$(TAG)" > dist/notes.md
	"$(BIN)/python" -m pip wheel --quiet --no-deps --wheel-dir dist .

test-slicer: ## Run the self-test of the module in SLICER, the path of Slicer 5.12 or newer
	"$(SLICER)" --no-splash --testing --additional-module-paths "$(CURDIR)/IncrementalSeg" --python-code \
		"import slicer.testing; slicer.testing.runUnitTest(['$(CURDIR)/IncrementalSeg'], 'IncrementalSeg')"

benchmarks: $(STAMP) ## Run PROTOCOL, a paper's all or one ("pcdd2026 spine-1-1"), into OUT; finished chains are skipped
	"$(BIN)/python" -m Testing.benchmarks $(PROTOCOL) --out "$(OUT)" $(ARGS)

# The probe runs each candidate: a name on the path may be a shim of a Python that is not there.
$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	usable() { "$$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	if ! "$(BIN)/python" -m pip --version >/dev/null 2>&1; then \
		if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; \
		else set -- python3 python3.12 python3.11 python3.13 python3.14 python; fi; \
		found=; \
		for candidate; do if usable "$$candidate"; then found=$$candidate; break; fi; done; \
		if [ -z "$$found" ]; then \
			echo "No Python >= 3.11 with venv among: $$*. Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$found"; \
		"$$found" -m venv "$(VENV)"; \
	fi
	@echo "Installing into $(VENV); the first time this takes some minutes"
	@"$(BIN)/python" -m pip install --quiet --editable ".[bundle,dicom,correct,slicer,text,test,benchmarks,dev,docs]" --constraint constraints.txt
	@touch "$(STAMP)"
