# Every target makes .venv when it is missing; nothing else is needed but Python 3.10 to 3.13.
PYTHON ?= python3
BIN := .venv/bin

READY := .venv/ready

.PHONY: .venv sweep test pictures docs lint format lock clean

sweep: .venv
	$(BIN)/python src/run.py -m sweep

test: .venv
	$(BIN)/python -m pytest

# The pictures of README and docs, taken from MLflow's pages of a real sweep; needs Chromium.
pictures: .venv
	SEQSWEEP_PICTURES=$(CURDIR)/docs/pictures $(BIN)/python -m pytest tests/integration/test_dashboard.py

# The pages of README and docs as a site: docs/site/index.html.
docs: .venv
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/site

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The set-up: exactly the versions and hashes of the lock file, then the project itself, editable.
.venv: $(READY)

$(READY): requirements.lock pyproject.toml
	@echo "Installing the locked versions into .venv, about two minutes …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $(READY)

# Renews the lock file for all supported Pythons at once; needs uv.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.10 --extra dev --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header --upgrade --quiet -o requirements.lock

clean:
	rm -rf .venv .pytest_cache .ruff_cache
