# Each target sets up what it needs in .venv; a second call finds it there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
WORKERS ?= auto
PIP_FLAGS ?=
# Those that need no data from outside; sst, squad and text are run by EXPERIMENTS="text" and the like.
EXPERIMENTS ?= synthetic ablation suppression capacity query
# One thread a process: threads of several test processes would wait for each other.
ONE_THREAD := NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: install run prove verify experiments report test test-all fuzz check coverage bench clean

install: $(VENV)/.core

run: $(VENV)/.core
	$(BIN)/python -m attn_dynamics.simulate --model attn-tc $(ARGS)

prove: $(VENV)/.analysis
	$(BIN)/python -m proofs $(ARGS)

verify: $(VENV)/.analysis
	$(ONE_THREAD) $(BIN)/python -m analysis.verdicts $(ARGS)

experiments: $(VENV)/.analysis
	set -e; for name in $(EXPERIMENTS); do \
		$(ONE_THREAD) $(BIN)/python -m simulations.$$name $(ARGS); done

report: $(VENV)/.analysis
	$(BIN)/python -m analysis.report $(ARGS)

test: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) -m "not slow" $(ARGS)

test-all: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

fuzz: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m fuzz $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# Compiled code leaves no trace, so the tests of the kernels run a second time without the compiler.
coverage: $(VENV)/.dev
	$(MAKE) test ARGS="--cov --cov-report= --cov-fail-under=0 $(ARGS)"
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n $(WORKERS) tests/kernels --cov --cov-append

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) .coverage* .hypothesis .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python: expected 3.11 or later, got $$($(PYTHON) -V). Name one by make PYTHON=python3.12."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml requirements.txt
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt -e .
	touch $@

$(VENV)/.analysis: $(VENV)/.core
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt -e ".[analysis]"
	touch $@

$(VENV)/.test: $(VENV)/.analysis
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt -e ".[test]"
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt -e ".[dev]"
	touch $@
