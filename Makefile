# README's two commands: `make demo` and `make test`. Everything they need is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet -c constraints.txt
RUN ?= runs/demo
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
LOSSES := $(foreach epoch,002 014 070 200,data/losses/*/epoch-$(epoch).safetensors)
SOURCES := pyproject.toml constraints.txt

.PHONY: demo test lint types unit notebooks notebooks-refresh coverage bench zoo data study-transfer clean

demo: $(VENV)/.installed
	$(BIN)/ncbounds evaluate data/zoo --out $(RUN)
	$(BIN)/ncbounds evaluate $(LOSSES) --manifest data/losses/zoo.toml --out $(RUN)/losses \
		--bounds binomial --batch-size 5000
	@$(THREADS) $(BIN)/ncbounds verify data/zoo28/network.ncz || [ $$? -eq 1 ]  # 1: no images here

# Processes that the tests start read what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE

test: $(VENV)/.dev lint types unit notebooks

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy -n 2 -p ncbounds

unit: $(VENV)/.dev
	$(THREADS) $(BIN)/pytest -n auto --dist worksteal -m "not slow" tests

notebooks: $(VENV)/.dev
	$(THREADS) $(BIN)/pytest -n auto --nbmake --nbmake-timeout=300 notebooks

# Run them and keep what they show, which a code host displays.
notebooks-refresh: $(VENV)/.dev
	$(THREADS) $(BIN)/pytest --nbmake --nbmake-timeout=300 --overwrite notebooks

# Full coverage simulations of every certificate: minutes to hours.
coverage: $(VENV)/.dev
	$(THREADS) $(BIN)/pytest -n auto -m slow --timeout=0 tests

# Ratios to the floor; never part of the tests.
bench: $(VENV)/.dev
	for script in tests/bench/bench_*.py; do $(THREADS) $(BIN)/python $$script || exit 1; done

# Train the shipped checkpoints again / make the shipped images again from the idx files.
zoo: $(VENV)/.installed
	$(THREADS) $(BIN)/python -m ncbounds.zoo --out data/zoo
	$(THREADS) $(BIN)/python -m ncbounds.zoo.losses --out data/losses
	$(THREADS) $(BIN)/python -m ncbounds.zoo.tags --out data/tags

data: $(VENV)/.installed
	$(BIN)/python -m ncbounds.zoo.fashion14 --out data/fashion14.npz

# Small networks moved to other tasks: the table in README. Some CPU minutes.
study-transfer: $(VENV)/.installed
	$(THREADS) $(BIN)/python -m ncbounds.zoo.transfer --out data/transfer

$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.installed: $(VENV)/.pip $(SOURCES)
	$(INSTALL) -e '.[plots]'
	touch $@

# Holds all that the other one does, so that `make test` resolves and installs once.
$(VENV)/.dev: $(VENV)/.pip $(SOURCES)
	$(INSTALL) -e '.[dev]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) runs .mypy_cache .pytest_cache .ruff_cache .hypothesis
