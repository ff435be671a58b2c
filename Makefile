# Everything a checkout needs; only Python >= 3.11, make and a package index are assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test check bench docs lock clean

help:
	@echo "make demo    install what is needed, then treat real datasets of several modalities"
	@echo "make test    run the whole test suite"
	@echo "make check   format, lint, types, layers, fast tests"
	@echo "make bench   measure against h5py, netCDF4 and numpy"
	@echo "make docs    run the real commands and write what they answered into docs/"
	@echo "make lock    resolve requirements/*.lock anew"

# An interpreter that is new enough, whatever python3 is.
$(BIN)/python:
	@found=$$(for p in $(PYTHON) python3.13 python3.12 python3.11; do \
	  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done); \
	  test -n "$$found" || { echo "Python 3.11 or newer is needed"; exit 1; }; \
	  "$$found" -m venv $(VENV)

$(VENV)/.run: requirements/run.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --require-hashes -r requirements/run.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run
	$(BIN)/cdt demo -o demo-packages

test: $(VENV)/.dev
	$(BIN)/pytest -n 2

check: $(VENV)/.dev
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2 tests/unit tests/architecture

bench: $(VENV)/.dev
	$(BIN)/python bench/run.py

docs: $(VENV)/.dev
	$(BIN)/python docs/make_transcripts.py

lock: | $(BIN)/python
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --quiet --extra all --group demo --group build --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o requirements/run.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --extra all --group demo --group build --group dev --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o requirements/dev.lock

clean:
	rm -rf $(VENV) demo-packages dist build .mypy_cache .ruff_cache .pytest_cache
