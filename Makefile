# make demo   sets up, then runs Table 1 on synthetic sounds (runs/demo/)
# make test   sets up, lints, type-checks, tests
#
# make test-slow   the tests of over 5 s each, which `make test` leaves out
# make test-io     the same code with TensorFlow 2.16.2 and tensorflow-io (.venv-io)
# make test-wheel  builds a wheel, installs it without constraints, runs a small loop
# make evaluator   sets up .venv-evaluate: labels and evaluation, no TensorFlow
# make clean       removes the environments and the caches, not runs/

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
IO_VENV := .venv-io
SMALL_VENV := .venv-evaluate
WHEEL_VENV := .venv-wheel
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
# Tried in this order; PYTHON=... on the command line comes first. Each has to
# run and answer: a shim that only prints an error is not a Python.
CANDIDATES := $(PYTHON) python3.11 python3.12 python3.13 python3 python
# What tensorflow-io has wheels for.
IO_CANDIDATES := $(PYTHON) python3.11 python3.12 python3 python
# What depends on the versions of TensorFlow, NumPy and pyarrow, and tensorflow-io.
IO_TESTS := audio_backends examples folding formats frame_classifier label_files log_mel resnet \
  saved_model schema streams trainer waveform_model
# A file goes to one process, because what a module sets up is slow. A process
# that a hanging test ends is not replaced: the test would run, and hang, again.
PYTEST := -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0

.PHONY: demo test test-slow test-io test-wheel setup setup-io evaluator lint clean

# Makes the environment $(1) anew with the first of the Pythons $(3) whose minor
# version is one of $(2).
define make_venv
found=""; \
for python in $(3); do \
  answer=$$("$$python" -c 'import sys, venv, ensurepip; print("fits" if sys.version_info[0] == 3 and sys.version_info[1] in ($(2),) else "")' 2>/dev/null); \
  if [ "$$answer" = fits ]; then found="$$python"; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo "Found no Python 3.($(2)) with venv among: $(strip $(3))." >&2; \
  echo "Install one (Debian: apt install python3.11-venv), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
  exit 1; \
fi; \
echo "Setting up $(1) with $$("$$found" --version); this takes a few minutes."; \
rm -rf $(1) && "$$found" -m venv $(1)
endef

setup: $(VENV)/installed
setup-io: $(IO_VENV)/installed

# The environments are made anew whenever the tested versions change.
$(VENV)/installed: constraints.txt setup.py
	@$(call make_venv,$(VENV),11$(,)12$(,)13,$(CANDIDATES))
	$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e '.[dev,av,dask,s3,export]'
	@touch $@

$(IO_VENV)/installed: constraints-io.txt setup.py
	@$(call make_venv,$(IO_VENV),11$(,)12,$(IO_CANDIDATES))
	$(IO_VENV)/bin/python $(PIP_INSTALL) -c constraints-io.txt -e '.[dev,av,io,export]'
	@touch $@

# Not editable: setuptools links packages only to a setup.py beside them. So it
# is made anew each time, with the code as it is.
evaluator:
	@$(call make_venv,$(SMALL_VENV),11$(,)12$(,)13,$(CANDIDATES))
	$(SMALL_VENV)/bin/python $(PIP_INSTALL) -c constraints.txt ./evaluator
	@echo "Next: $(SMALL_VENV)/bin/audioset-strong evaluate --help"

demo: setup
	$(BIN)/python -m experiments.table1 --flagfile=experiments/demo.flags

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python $(PYTEST)

test-slow: setup
	$(BIN)/python $(PYTEST) -m slow

test-io: setup-io
	$(IO_VENV)/bin/python $(PYTEST) $(IO_TESTS:%=tests/test_%.py)

# What a user gets from `pip install`: newest versions, no checkout.
test-wheel:
	@$(call make_venv,$(WHEEL_VENV),11$(,)12$(,)13,$(CANDIDATES))
	rm -rf build dist
	$(WHEEL_VENV)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir=dist .
	$(WHEEL_VENV)/bin/python $(PIP_INSTALL) dist/*.whl
	$(WHEEL_VENV)/bin/python tests/installed_loop.py

clean:
	rm -rf $(VENV) $(IO_VENV) $(SMALL_VENV) $(WHEEL_VENV) .mypy_cache .pytest_cache .ruff_cache *.egg-info evaluator/*.egg-info build dist evaluator/build

# A comma inside an argument of $(call).
, := ,
