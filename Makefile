# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup browser demo test lint format types check readme clean
.PHONY: study-demo study-first-run study-loader study-measurement study-adaptation
.PHONY: study-verdict study-adapt study-shipped study-degradations study-networks study-leaks
.PHONY: study-tasks study-redegradation
.PHONY: benchmark

setup: $(VENV)/.ready

# pip leaves what is there alone, so this is quick after the first time
$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[classical,demo,dev,zoo]"
	touch $@

# Chromium, in which the tests open the report; where it cannot be had, they are skipped.
browser:
	@.ci/browser || echo "no Chromium: the tests of the report's page will be skipped"

demo: setup
	$(BIN)/noiseda demo -o demo --overwrite

test: setup browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)

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

study-leaks: setup
	$(BIN)/python studies/leaks/run.py

study-measurement: setup
	$(BIN)/python studies/measurement/run.py

study-adaptation: setup
	$(BIN)/python studies/adaptation/tune.py
	$(BIN)/python studies/adaptation/run.py

study-verdict: setup
	$(BIN)/python studies/verdict/run.py

study-adapt: setup
	$(BIN)/python studies/adapt/run.py
	$(BIN)/python studies/adapt/means.py

study-shipped: setup
	$(BIN)/python studies/shipped/run.py

study-redegradation: setup
	$(BIN)/python studies/redegradation/run.py

study-degradations: setup
	$(BIN)/python studies/degradations/run.py

study-tasks: setup
	$(BIN)/python studies/tasks/run.py
	$(BIN)/python studies/tasks/whole.py

study-networks: setup
	$(BIN)/python studies/networks/run.py

benchmark: setup
	$(BIN)/python benchmarks/speed.py

clean:
	rm -rf $(VENV) demo runs build
