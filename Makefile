# Each target sets up what it needs in .venv; a second call finds it there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
WORKERS ?= auto
PIP_FLAGS ?=
# Those that need no data from outside; sst, squad and text are run by EXPERIMENTS="text" and the like.
EXPERIMENTS ?= synthetic ablation suppression capacity query zipf heads hysteresis noise optimisers
# Tells that the gallery is drawn, so that the site draws it once.
DRAWN := runs/gallery/.drawn
# One thread a process: threads of several test processes would wait for each other.
ONE_THREAD := NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1
# Libraries keep their bytecode, because a process that starts would compile them for two seconds.
export PYTHONDONTWRITEBYTECODE =

# What needs no PyTorch, whose builds are for some interpreters only: commands, files, data, proofs.
SUBSET := tests/commands tests/proofs tests/tasks/test_synthetic.py tests/window/test_dynamics.py \
	tests/theory/test_ode.py tests/theory/test_bell_width.py tests/tasks/test_corpus.py tests/files/test_netcdf.py \
	tests/results/test_prediction.py tests/training/test_stopping.py tests/files/test_storage.py
CONSTRAINTS ?= requirements.txt

.PHONY: install run prove verify experiments report figures gallery publish test test-all test-subset test-lowest test-3.13 \
	dist fuzz check coverage bench docs linkcheck clean

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

# The figures of the documentation, those on SST-2 where SST_DIR names its folder.
figures: $(VENV)/.analysis
	$(BIN)/python -m analysis.kept_figures --overwrite $(ARGS)

# The figures of all commands from quick runs, for the gallery of the site.
gallery: $(VENV)/.analysis
	set -e; export $(ONE_THREAD); draw() { name=$$1; shift; $(BIN)/python -m "$$@" --out runs/gallery/$$name --overwrite; }; \
		draw theory analysis.theory_figures --quick & \
		draw run attn_dynamics.simulate --model attn-tc --epochs 2000; \
		draw replicates attn_dynamics.simulate --model attn-tc --epochs 500 --replicates 5; \
		draw window attn_dynamics.simulate --model attn-window --epochs 2000; \
		for name in $(EXPERIMENTS); do draw $$name simulations.$$name --quick; done; \
		wait $$!
	touch $(DRAWN)

$(DRAWN):
	$(MAKE) gallery

# A full judgement's verdicts and badge go into docs: make publish ARGS="runs/verdicts --overwrite"
publish: $(VENV)/.analysis
	$(BIN)/python -m analysis.publish $(ARGS)

test: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

test-all: $(VENV)/.test
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# Numba keeps one version's compiled code beside a module, so other versions keep theirs with their environment.
test-subset: $(BIN)/python
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c $(CONSTRAINTS) -e ".[analysis,distributed]"
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt hypothesis psutil pytest pytest-xdist
	$(ONE_THREAD) NUMBA_CACHE_DIR=$(abspath $(VENV))/numba \
		$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" $(SUBSET) $(ARGS)

# The lowest versions that pyproject.toml allows. Old libraries warn of newer ones beneath them, so no warning is an error.
test-lowest:
	$(PYTHON) tests/floors.py analysis distributed > floors.txt
	$(MAKE) test-subset VENV=.venv-lowest CONSTRAINTS=floors.txt ARGS="-W default $(ARGS)"

test-3.13:
	@python3.13 -V 2>/dev/null || { echo "Skipped: there is no python3.13 here."; exit 0; }; \
		$(MAKE) test-subset VENV=.venv-3.13 PYTHON=python3.13

# What is published: the sdist holds the files of git and no others; sdist and wheel each work in an empty environment.
dist: $(VENV)/.release
	rm -rf dist
	$(BIN)/check-sdist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	set -e; for each in dist/*; do \
		rm -rf .venv-dist; $(PYTHON) -m venv .venv-dist; \
		.venv-dist/bin/python -m pip install -q $(PIP_FLAGS) -c requirements.txt $$each; \
		.venv-dist/bin/python -I tests/installed.py core; \
		.venv-dist/bin/python -m pip install -q $(PIP_FLAGS) -c requirements.txt "$$each[analysis]"; \
		.venv-dist/bin/python -I tests/installed.py analysis; done
	rm -rf .venv-dist

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

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(ARGS)

# The site: pages, tutorial, reference and gallery, every example run, every warning an error.
docs: $(VENV)/.docs $(DRAWN)
	$(BIN)/python -m analysis.pages --out docs/generated --overwrite
	$(ONE_THREAD) $(BIN)/python -m sphinx -W --keep-going -n -q -d docs/_build/doctrees docs docs/_build/html $(ARGS)

# Links to other sites, which need a network.
linkcheck: $(VENV)/.docs
	$(BIN)/python -m sphinx -b linkcheck -q -d docs/_build/doctrees docs docs/_build/linkcheck $(ARGS)

clean:
	rm -rf docs/_build docs/generated docs/tutorial runs/gallery
	rm -rf .venv .venv-* floors.txt dist .coverage* .hypothesis .pytest_cache .ruff_cache

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

$(VENV)/.docs: $(VENV)/.analysis
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt -e ".[docs]"
	touch $@

$(VENV)/.bench: $(VENV)/.test
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt -e ".[bench]"
	touch $@

$(VENV)/.release: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt build check-sdist twine
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(BIN)/python -m pip install -q $(PIP_FLAGS) -c requirements.txt -e ".[dev]"
	touch $@
