# Every target installs what it needs into .venv first. Needs Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
OUT ?= out/reproduction
JOBS ?= 2

# The real logs, if they lie beside the repository and no other place is named.
ifneq ($(wildcard ../shared/data/prompt-oirl),)
export PROMPT_OIRL_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help install demo test check format docs reproduce reproduce-fast bench bench-peers clean
.DEFAULT_GOAL := help

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 26

install: $(INSTALLED) ## Make .venv and install the package with everything that development needs

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(INSTALLED) ## Run the whole loop on simulated data: logs, reward model, recommendations, what they are worth
	$(BIN)/prompt-oirl demo --out out/demo

test: check ## Run the checks and every test
	$(BIN)/python -m pytest -n $(JOBS)

check: $(INSTALLED) ## Check format, lint, types, import contracts and generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks docs
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: $(INSTALLED) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## Write the generated parts of README and docs again
	$(BIN)/python docs/generate.py

reproduce: $(INSTALLED) ## Compute the paper's tables and the leak-free ones from the released logs
	$(BIN)/prompt-oirl reproduce --out $(OUT) --jobs $(JOBS)

reproduce-fast: $(INSTALLED) ## The same with one fold seed and all six prompts only
	$(BIN)/prompt-oirl reproduce --out $(OUT)-fast --jobs $(JOBS) --fast

bench: $(INSTALLED) ## Measure speed and memory, each against a yardstick in the same run
	$(BIN)/python benchmarks/run.py

bench-peers: $(INSTALLED) .venv-peers/.installed ## Measure the gateway beside other gateways, which get an environment of their own
	$(BIN)/python benchmarks/run.py gateways

.venv-peers/.installed: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

clean: ## Remove the environments, caches and outputs
	rm -rf .venv .venv-peers out .mypy_cache .ruff_cache .pytest_cache .hypothesis
