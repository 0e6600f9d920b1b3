# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test lint format types check readme clean
.PHONY: study-demo study-first-run study-loader benchmark

setup: $(VENV)/.ready

# pip leaves what is there alone, so this is quick after the first time
$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[classical,demo,dev]"
	touch $@

demo: setup
	$(BIN)/noiseda demo -o demo --overwrite

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(TESTS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/pyright

check: lint types test

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The README's figures, from the committed results of the targets below.
readme: setup
	$(BIN)/python studies/measured.py

# Slow studies; their results are committed. Data: see the README.
study-demo: demo
	cp demo/scores.json docs/demo-scores.json
	cp demo/comparison.png docs/comparison.png

study-first-run: setup
	$(BIN)/python studies/first-run/run.py
	$(BIN)/python studies/first-run/run.py --timing
	$(BIN)/python studies/first-run/run.py --report

study-loader: setup
	$(BIN)/python studies/loader/run.py

benchmark: setup
	$(BIN)/python benchmarks/speed.py

clean:
	rm -rf $(VENV) demo runs build
