# Everything a fresh machine with Python and make needs. `make demo` and `make test` do all the set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# On all cores that may be used. Each process starts with a part of the tests in a row, so that fixtures serve many;
# whoever is done first takes over half of what another has left.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

# Tests start many processes: what Python has compiled once is kept for them, also where that is switched off.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install install-reader demo test test-quick test-slow test-cloud lint bench bench-quick bench-codec clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt setup.py $(wildcard narrows/codec/kernels/*.[ch])
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,test,lint,compare]'
	touch $(STAMP)

# Only what reads archives, in an environment of its own: restore, verify, info, recover, open_archive.
install-reader:
	$(PYTHON) -m venv .venv-reader
	.venv-reader/bin/python -m pip install --quiet --constraint constraints.txt .

demo: install
	$(BIN)/narrows demo

test: install
	$(PYTEST)

# What holds of every part, and one call of each verb.
test-quick: install
	$(PYTEST) tests/contracts tests/cli/test_verbs.py

# The many cases of which `make test` tries a few that cover them, and numbers that are measured on full settings.
test-slow: install
	$(BIN)/python -m pytest -m slow

# Archives by two workers of Ray, and data on a local server of S3: packages that nothing else needs. Not by the
# constraints, since aiobotocore excludes the version of python-dateutil that they name.
test-cloud: install
	$(BIN)/python -m pip install --quiet --editable '.[train,test,test-cloud]'
	$(BIN)/python -m pytest -m 'slow or not slow' tests/archive/test_ray.py tests/test_remote.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	$(BIN)/python bench/recipes.py
	$(BIN)/python bench/classics.py
	$(BIN)/python bench/claims.py
	$(BIN)/python bench/gallery.py
	$(BIN)/python bench/denoising.py
	$(BIN)/python bench/sda.py
	$(BIN)/python bench/vq.py
	$(BIN)/python bench/vae.py
	$(BIN)/python bench/generation.py
	$(BIN)/python bench/threads.py

bench-quick: install
	$(BIN)/python bench/training/quick.py

bench-codec: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,bench]'
	$(BIN)/python bench/codec/run.py

clean:
	rm -rf $(VENV) .venv-reader build dist *.egg-info
