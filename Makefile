# make sweep [EXPERIMENT=digits-mlp] [WORKERS=2] [EXTRAS=gpu] [ARGS="--trials 60"]    set up, then sweep
# make test                                                                           set up, then run the tests
# make test-system                                                                    set up, then train, kill and serve
# make chaos [CASES="points queue"] [ARGS=--quick]                                     set up, then kill sweeps
# make bench [MEASURES="sweeps startup"] [ARGS="--repeats 1"]                         set up, then measure, beside peers
# make bench-gpu [ARGS=--quick]                                                       set up, then measure a card
PYTHON ?= python3
EXPERIMENT ?= digits-mlp
EXTRAS ?=
ARGS ?=
MEASURES ?=
CASES ?=
# Two trials at a time suit a small machine and a short search; with cards, one each is Assay's own choice.
WORKERS ?= $(if $(filter gpu,$(EXTRAS)),,2)
VENV := .venv
BIN := $(VENV)/bin
LOCK := $(if $(EXTRAS),requirements-$(EXTRAS).lock,requirements.lock)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: sweep test test-system lint types chaos bench bench-gpu pictures setup setup-dev setup-bench lock clean

sweep: setup
	$(BIN)/assay sweep $(EXPERIMENT) $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

# Units, and all of the product but the training: minutes. A few real sweeps are among them.
test: setup-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit tests/integration

# Real backends, kills, servers, a browser, what `make bench` and `make chaos` run: the better part of half an hour.
test-system: setup-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/system

lint: setup-dev types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The packages under the names that they have when installed, for mypy, which knows no package-dir.
types:
	@mkdir -p build/types/assay
	@ln -sfn ../../../experiments/face/__init__.py build/types/assay/__init__.py
	@for package in models search experiments; do ln -sfn ../../../$$package build/types/assay/$$package; done

# What holds when sweeps are killed, starved and stopped; a short version is part of `make test-system`.
chaos: setup-dev
	$(BIN)/python -m tests.chaos $(CASES) $(ARGS)

# No test, and no part of `make test`: on a quiet machine it takes the better part of an hour.
bench: setup-bench
	$(BIN)/python -m tests.benchmarks $(MEASURES) $(ARGS)

# A thousand trials on a card, by JAX (pip install "jax[cuda12]" into $(VENV)); ARGS=--quick: on any machine, to see that
# it runs.
bench-gpu: setup-dev
	$(BIN)/python -m tests.benchmarks gpu $(ARGS)

# The README's, taken anew: needs Chromium.
pictures: setup-dev
	$(BIN)/python -m tests.pictures

# The parts of docs/ that are generated from the code.
.PHONY: docs
docs: setup-dev
	$(BIN)/python -m tests.reference

setup: $(VENV)/installed-$(LOCK)
setup-dev: $(VENV)/installed-requirements-dev.lock
setup-bench: $(VENV)/installed-requirements-bench.lock

# Everything pinned and hashed, our own packages in place on top. The build tool comes from the lock too.
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
