# Two commands do all the set-up: `make demo` and `make test`. Both make .venv and install what they need, once.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: causes gallery zoo demo test test-slow test-all lint format types messages bench papers clean

demo: $(STAMP)
	$(BIN)/steadygrad demo --quick

# Two workers, each on one thread: with torch's own number of them they would wait for each other.
test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations 100 -m "not slow"

# A sample of what takes long, which fits into a landing. In the order of their names: by the number of their tests the
# demos, the longest of all, would be the last.
test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 50 -m "slow and not rare"

# All of it: an hour on two cores, before a release and after a change of the guard or of a rule.
test-all: test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 50 -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/pyright

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What is said to people, in every language: update the catalogues from the source, and compile them.
causes: $(STAMP)
	$(BIN)/python tools/cause_pages.py

# Half an hour on two cores: every demo in full.
gallery: $(STAMP)
	$(BIN)/python tools/gallery_pages.py

zoo: $(STAMP)
	$(BIN)/python -m zoo

messages: $(STAMP)
	$(BIN)/python tools/messages.py

bench: $(STAMP)
	$(BIN)/python benchmarks/run_overhead.py
	$(BIN)/python benchmarks/guard_cost.py
	$(BIN)/python benchmarks/step_cost.py
	$(BIN)/python benchmarks/clip_quality.py
	$(BIN)/python benchmarks/fault_matrix.py

# More than an hour on one core; each script says what it shows with --help.
papers: $(STAMP)
	for script in chi1 edge_of_stability lsuv lr_sensitivity temporal_order adding_problem; do $(BIN)/python benchmarks/papers/$$script.py || exit 1; done

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis demo runs

# torch first and alone, pinned: resolved together with the rest it may come as a CUDA build of several gigabytes.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON): install Python 3.10 or newer"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "make: $(PYTHON) is older than Python 3.10: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: $(PYTHON) has no venv: apt-get install python3-venv"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps timm  # it would bring torchvision
	touch $@
