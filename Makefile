# make sweep [EXPERIMENT=digits-mlp] [WORKERS=2] [EXTRAS=gpu] [ARGS="--trials 60"]    set up, then sweep
# make test                                                                           set up, then run unit and integration tests
# make test-system                                                                    set up, then run the system tests
# make chaos [CASES="points queue"] [ARGS=--quick]                                     set up, then kill sweeps
# make simulate [CASES=verdicts] [ARGS=--quick]                                        set up, then simulate studies
# make reproduce [ARGS="--runs 2 jax"]                                                set up, then train recorded runs again
# make benchmark-report [DATA=mnist] [ARGS=--quick]                                    set up, then run the worked benchmark
# make lectures [NAMES="perceptron"] [ARGS=--full]                                     set up, then measure the lectures' claims
# make serve-check [ARGS="--backend jax"]                                              set up, then serve a model in a new environment
# make bench [MEASURES="sweeps startup"] [ARGS="--repeats 1"]                         set up, then run the benchmark
# make bench-gpu [ARGS=--quick]                                                       set up, then measure a GPU
PYTHON ?= python3
EXPERIMENT ?= digits-mlp
EXTRAS ?=
ARGS ?=
MEASURES ?=
CASES ?=
DATA ?=
NAMES ?=
# Two workers suit a small machine and a short search; on GPUs Assay chooses one worker per GPU.
WORKERS ?= $(if $(filter gpu,$(EXTRAS)),,2)
VENV := .venv
BIN := $(VENV)/bin
LOCK := $(if $(EXTRAS),requirements-$(EXTRAS).lock,requirements.lock)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: sweep test test-system lint types chaos simulate reproduce serve-check bench bench-gpu pictures setup setup-dev setup-bench lock clean

sweep: setup
	$(BIN)/assay sweep $(EXPERIMENT) $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

# Unit tests, and integration tests with stub trainers and a few real sweeps: minutes.
test: setup-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit tests/integration

# Real backends, kills, servers, a browser, short runs of the benchmark and of chaos: about half an hour.
test-system: setup-dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder tests/system

lint: setup-dev types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Links to the packages under their installed names, for mypy, which does not read package-dir.
types:
	@mkdir -p build/types/assay
	@ln -sfn ../../../experiments/face/__init__.py build/types/assay/__init__.py
	@for package in models search experiments; do ln -sfn ../../../$$package build/types/assay/$$package; done

# Kills sweeps at every step and at random, and checks what is left: half an hour. `make test-system` runs a short version.
chaos: setup-dev
	$(BIN)/python -m tests.chaos $(CASES) $(ARGS)

# Simulates studies, and counts how often the statistics of a verdict are wrong: minutes. `make test` runs a short version.
simulate: setup-dev
	$(BIN)/python -m tests.simulations $(CASES) $(ARGS)

# Trains recorded runs again, ten on each backend, and compares to the last bit: about ten minutes.
reproduce: setup-dev
	$(BIN)/python -m tests.reproduction $(ARGS)

# Searches and finalizes the studies of experiments/reports/ on the real MNIST and CIFAR-10, and writes their reports.
.PHONY: benchmark-report
benchmark-report: setup-dev
	$(BIN)/python -m tests.worked_benchmark $(DATA) $(ARGS)

# Measures the lectures' claims on the real MNIST and CIFAR-10, and writes experiments/reports/lectures/.
.PHONY: lectures
lectures: setup
	$(BIN)/assay lectures $(NAMES) --out experiments/reports/lectures $(ARGS)

# Serves a model in an environment of its own, which uv makes: minutes, and a package index.
serve-check: setup-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.serving $(ARGS)

# Not a test: it takes about an hour on a quiet machine.
bench: setup-bench
	$(BIN)/python -m tests.benchmarks $(MEASURES) $(ARGS)

# A thousand trials on a GPU, on JAX (pip install "jax[cuda12]" into $(VENV)); ARGS=--quick is a short run on any machine.
bench-gpu: setup-dev
	$(BIN)/python -m tests.benchmarks gpu $(ARGS)

# Take the pictures of the README again; needs Chromium.
pictures: setup-dev
	$(BIN)/python -m tests.pictures

# The parts of docs/ that are generated from the code.
.PHONY: docs
docs: setup-dev
	$(BIN)/python -m tests.reference

setup: $(VENV)/installed-$(LOCK)
setup-dev: $(VENV)/installed-requirements-dev.lock
setup-bench: $(VENV)/installed-requirements-bench.lock

# Install the pinned and hashed packages, then Assay in place. The build tool comes from the lock too.
$(VENV)/installed-%: % pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Assay needs Python 3.11 or newer; name one with make PYTHON=...")'
	@echo "Installing what $* pins into $(VENV); the first time this takes a few minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) --require-hashes -r $*
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# The locks name versions and hashes, never an index.
lock:
	uv pip compile -q pyproject.toml --extra dev $(LOCK_FLAGS) -o requirements-dev.lock
	uv pip compile -q pyproject.toml $(LOCK_FLAGS) -c requirements-dev.lock -o requirements.lock
	uv pip compile -q pyproject.toml --extra gpu $(LOCK_FLAGS) -c requirements-dev.lock -o requirements-gpu.lock
	uv pip compile -q pyproject.toml --extra bench $(LOCK_FLAGS) -c requirements-dev.lock -o requirements-bench.lock
LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
