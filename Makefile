PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
SEED ?= 0
TRIES ?= 200
MINUTES ?= 60
OUT ?= demo
BIN := $(VENV)/bin
export HF_HUB_DISABLE_XET ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo papers test lint types imports unit bench torture fuzz docs site clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

$(BIN)/.installed-demo: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[demo]"
	touch $@

$(BIN)/.installed-docs: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	touch $@

demo: $(BIN)/.installed-demo ## Write demo databases, merge, find faces, train teacher and student, print the table (SEED=0 OUT=demo)
	$(BIN)/python -m affect_train demo $(OUT) --seed $(SEED)

PAPERS := demo deng2020 vu2021 mal2021 facebehaviornet affectkit

papers: $(BIN)/.installed ## Run every study of recipes/ (hours of CPU; goes on where it stopped) and write recipes/README.md
	for paper in $(PAPERS); do $(BIN)/affect-train study recipes/$$paper/study.yaml runs/papers/$$paper --workers 2 || exit 1; done
	$(BIN)/affect-train papers $(addprefix runs/papers/,$(PAPERS)) > recipes/README.md.new
	mv recipes/README.md.new recipes/README.md

test: lint types imports unit ## Install the development extras; run all checks and tests

lint: $(BIN)/.installed-dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed-dev ## Check types
	$(BIN)/mypy

imports: $(BIN)/.installed-dev ## Check the direction of imports
	$(BIN)/lint-imports

unit: export OMP_NUM_THREADS = 1
unit: $(BIN)/.installed-dev ## Run the tests, slow ones included
	$(BIN)/python -m pytest -n 2 --dist worksteal

bench: $(BIN)/.installed-dev ## Run the benchmarks (peers that are not installed are named and left out)
	for benchmark in input order step balance duplicates meta faces format; do $(BIN)/python benchmarks/$$benchmark.py || exit 1; done
	$(BIN)/python benchmarks/soft_labels.py $$(mktemp -d)

torture: export OMP_NUM_THREADS = 1
torture: $(BIN)/.installed-dev ## Kill and interrupt all commands at random moments, write docs/reliability.md's table (TRIES=200 SEED=0)
	$(BIN)/python tests/support/torture.py --tries $(TRIES) --seed $(SEED) --page docs/reliability.md

fuzz: export OMP_NUM_THREADS = 1
fuzz: $(BIN)/.installed-dev ## Damage copies of all databases until no reader takes a new path for MINUTES=60
	$(BIN)/python tests/support/fuzzing/campaign.py --minutes $(MINUTES) --seed $(SEED)

docs: $(BIN)/.installed ## Write docs/schema.md, docs/databases.md and the generated parts of other pages from the code
	$(BIN)/affect-data schema > docs/schema.md
	$(BIN)/python -m affect_data.databases.pages
	$(BIN)/python -m affect_data.build.pages
	$(BIN)/python -m affect_train.recipe.pages
	$(BIN)/python -m affect_data.audit.pages
	$(BIN)/python -m affect_data.hub.pages
	$(BIN)/python -m affect_data.faces.pages
	$(BIN)/python -m affect_data.exporting.pages
	$(BIN)/python -m affect_train.cli.pages
	$(BIN)/python -m affect_data.pages

site: $(BIN)/.installed-docs ## Build the documentation into build/site; a link that leads nowhere is an error
	$(BIN)/python docs/site/build.py build

clean: ## Remove what the commands above made
	rm -rf $(VENV) $(OUT) runs build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
