# `make ask Q="..."`, `make serve` and `make test` set everything up by themselves.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin

# Taken as it stands: make must not expand the $1 of "above $150".
override Q := $(value Q)
export Q

.PHONY: ask now serve test lint bench clean

ask: $(VENV)/.installed
	@test -n "$$Q" || { echo 'usage: make ask Q="What will Nvidia cost at the end of March?"' >&2; exit 2; }
	@$(BIN)/belief ask -- "$$Q" || { code=$$?; test $$code -eq 6 || exit $$code; }

now: $(VENV)/.installed
	@$(BIN)/belief now

serve: $(VENV)/.installed
	@$(BIN)/belief serve

test: $(VENV)/.tested lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.tested
	$(BIN)/python benchmarks/hmm_speed.py

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is needed; name another with PYTHON=..." >&2; exit 1; }
	@echo "setting up $(VENV), once" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@$(BIN)/belief now >/dev/null  # compiles, or the first question would wait for it
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
