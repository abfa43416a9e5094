# The only set-up there is: `make demo`, `make test`, `make check`. Each installs what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check format bench atlas meanings clean

demo: $(VENV)/.installed
	@mkdir -p demo
	@$(BIN)/oneira dream sample:rocket --size 512 --offline -o demo/dream.png
	@$(BIN)/oneira style sample:cat sample:night_wind --size 512 --offline -o demo/style.png

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed
	$(BIN)/python -m oneira bench

# All of the embedded network as a page to browse, in an hour or so: make atlas, or make atlas DATA=PICTURES, a folder of
# photographs or an .npz file of them. Stopped at any time, it goes on.
atlas: $(VENV)/.installed
	@$(BIN)/oneira atlas pocket --offline $(if $(DATA),--data $(DATA)) -o demo/atlas

# What --like knows of it, after new weights: make meanings DATA=PICTURES
meanings: atlas
	@cp demo/atlas/meanings.json src/oneira/inspection/pocket_meanings.json

clean:
	rm -rf $(VENV) demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing Oneira into $(VENV) (once; PyTorch is most of it) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e .
	@touch $@

# pip of Python 3.11 cannot read dependency groups yet, so the list is read from pyproject.toml itself.
$(VENV)/.dev: $(VENV)/.installed
	@$(BIN)/python -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]))' > $(VENV)/dev.txt
	@$(PIP) -r $(VENV)/dev.txt
	@touch $@
