# make demo   sets up, then runs Table 1 on synthetic sounds (runs/demo/)
# make test   sets up, lints, type-checks, tests
# make evaluator   sets up .venv-evaluate: labels and evaluation, no TensorFlow
# make clean  removes the environments and the caches, not runs/

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SMALL_VENV := .venv-evaluate
# Asked in this order; PYTHON=... on the command line comes first. Each has to
# run and answer: a shim that only prints an error is not a Python.
CANDIDATES := $(PYTHON) python3.11 python3.12 python3 python

.PHONY: demo test setup evaluator lint clean

# Makes the environment $(1) anew with the first Python that fits.
define make_venv
found=""; \
for python in $(CANDIDATES); do \
  answer=$$("$$python" -c 'import sys, venv, ensurepip; print("fits" if sys.version_info[:2] in ((3, 11), (3, 12)) else "")' 2>/dev/null); \
  if [ "$$answer" = fits ]; then found="$$python"; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo "No Python 3.11 or 3.12 with venv was found among: $(strip $(CANDIDATES))." >&2; \
  echo "Install one (Debian: apt install python3.11-venv), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
  exit 1; \
fi; \
echo "Setting up $(1) with $$("$$found" --version)$(2)."; \
rm -rf $(1) && "$$found" -m venv $(1)
endef

setup: $(VENV)/installed

# The environment is made anew whenever the tested versions change.
$(VENV)/installed: constraints.txt setup.py
	@$(call make_venv,$(VENV),; this takes a few minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,io,av]'
	@touch $@

# Not editable: setuptools links packages only to a setup.py beside them. So it
# is made anew each time, with the code as it is.
evaluator:
	@$(call make_venv,$(SMALL_VENV),)
	$(SMALL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ./evaluator
	@echo "Next: $(SMALL_VENV)/bin/python -m audioset_strong.evaluate --help"

demo: setup
	$(BIN)/python -m experiments.table1 --flagfile=experiments/demo.flags

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

clean:
	rm -rf $(VENV) $(SMALL_VENV) .mypy_cache .pytest_cache .ruff_cache *.egg-info evaluator/*.egg-info evaluator/build
