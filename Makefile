PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data
FUZZ ?= 10
OLDEST := .venv-oldest
EXTRAS := gensim parquet umap zst

.PHONY: demo check soak fuzz check-oldest bench bench-forecast bench-graphs bench-items bench-losses \
	bench-rare bench-settings bench-speed bench-training clean

demo: .venv/installed
	$(BIN)/exact2vec train python-docs -o runs/python-docs --force
	$(BIN)/exact2vec neighbors runs/python-docs server thread list -n 5
	@echo "the run lies in runs/python-docs; $(BIN)/exact2vec evaluate runs/python-docs says what it is worth"

check: .venv/installed
	@command -v chromium > /dev/null || echo 'the pages are not looked at: there is no chromium (apt-get install -y chromium)'
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n auto -m "not soak"

soak: .venv/installed
	$(BIN)/python -m pytest -q -n auto -m soak

# Hours: each property and search with FUZZ times as many examples: 10,000 FUZZ files a reader.
fuzz: .venv/installed
	EXACT2VEC_FUZZ=$(FUZZ) $(BIN)/python -m pytest -q -n auto -m "hypothesis or fuzz"

# The lowest versions that pyproject.toml allows, in an environment of their own.
check-oldest: .venv/installed
	$(BIN)/uv pip compile -q -U --resolution lowest-direct $(EXTRAS:%=--extra %) \
		-o $(OLDEST).core.txt pyproject.toml
	$(BIN)/uv pip compile -q -U -c $(OLDEST).core.txt $(EXTRAS:%=--extra %) --extra dev \
		-o $(OLDEST).txt pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/pip install -q -c $(OLDEST).txt -e '.[dev,gensim,parquet,umap,zst]'
	$(OLDEST)/bin/python -m pytest -q -n auto -m "not soak"

bench: bench-losses bench-speed bench-training bench-rare bench-settings bench-graphs bench-items bench-forecast

bench-training: .venv/installed
	$(BIN)/python benchmarks/training.py $(DATA) benchmarks/results/training.jsonl
	$(BIN)/pip install -q -c constraints.txt -e '.[peers]'
	$(BIN)/python benchmarks/peers.py run $(DATA) runs/peers benchmarks/results/peers.jsonl
	$(BIN)/python benchmarks/peers.py softmax runs/peers benchmarks/results/peers.jsonl
	$(BIN)/python benchmarks/peers.py table
	$(BIN)/python benchmarks/peers.py figure docs/see/peers.svg

bench-speed: .venv/installed
	$(BIN)/python benchmarks/speed.py $(DATA) runs/speed benchmarks/results/speed.jsonl
	$(BIN)/python benchmarks/speed.py figure docs/see/scaling.svg

bench-graphs: .venv/installed
	$(BIN)/python benchmarks/graphs.py run $(DATA) benchmarks/results/graphs.jsonl
	$(BIN)/python benchmarks/graphs.py table
	$(BIN)/python benchmarks/large_graph.py run benchmarks/results/large_graph.jsonl
	$(BIN)/python benchmarks/large_graph.py table

bench-items: .venv/installed
	$(BIN)/pip install -q -c constraints.txt -e '.[peers]'
	$(BIN)/python benchmarks/items.py $(DATA) benchmarks/results/items.jsonl gowalla gowalla:64:2,3 \
		retail groceries python
	$(BIN)/python benchmarks/items.py table
	$(BIN)/python benchmarks/item_sampled.py $(DATA) benchmarks/results/item_sampled.jsonl
	$(BIN)/python benchmarks/item_sampled.py table
	$(BIN)/python benchmarks/item_recommend.py $(DATA) runs/recommend benchmarks/results/item_recommend.jsonl
	$(BIN)/python benchmarks/item_recommend.py table

bench-settings: .venv/installed
	$(BIN)/python benchmarks/start.py $(DATA) benchmarks/results/start.jsonl
	$(BIN)/python benchmarks/grid.py $(DATA) benchmarks/results/grid.jsonl
	$(BIN)/python benchmarks/steps.py $(DATA) benchmarks/results/steps.jsonl

bench-rare: .venv/installed
	$(BIN)/python benchmarks/rare.py small $(DATA) benchmarks/results/rare.jsonl
	$(BIN)/python benchmarks/rare.py wiki $(DATA) benchmarks/results/rare.jsonl
	$(BIN)/python benchmarks/rare.py strengths $(DATA) benchmarks/results/rare.jsonl

bench-forecast: .venv/installed
	$(BIN)/python benchmarks/forecast.py $(DATA) runs/forecast benchmarks/results/forecast.jsonl
	$(BIN)/python benchmarks/forecast.py table
	$(BIN)/python benchmarks/pairs_memory.py $(DATA) benchmarks/results/pairs_memory.jsonl
	$(BIN)/python benchmarks/pairs_memory.py table
	$(BIN)/python benchmarks/checkpoints.py runs/checkpoints benchmarks/results/checkpoints.jsonl
	$(BIN)/python benchmarks/checkpoints.py table

bench-losses: .venv/installed
	$(BIN)/python -W ignore benchmarks/losses.py benchmarks/results/losses.jsonl
	$(BIN)/python benchmarks/products.py benchmarks/results/products.jsonl
	$(BIN)/python benchmarks/products.py table

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch .venv/installed

clean:
	rm -rf .venv $(OLDEST)* runs
