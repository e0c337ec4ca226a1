PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data

.PHONY: demo check bench bench-losses clean

demo: .venv/installed
	$(BIN)/exact2vec train python-docs -o runs/python-docs --force
	$(BIN)/exact2vec neighbors runs/python-docs server thread list -n 5
	@echo "the run lies in runs/python-docs; $(BIN)/exact2vec evaluate runs/python-docs says what it is worth"

check: .venv/installed
	@command -v chromium > /dev/null || echo 'the pages are not looked at: there is no chromium (apt-get install -y chromium)'
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n auto

bench: .venv/installed bench-losses
	$(BIN)/python benchmarks/training.py $(DATA) benchmarks/results/training.jsonl

bench-losses: .venv/installed
	$(BIN)/python -W ignore benchmarks/losses.py benchmarks/results/losses.jsonl

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch .venv/installed

clean:
	rm -rf .venv runs
