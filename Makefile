# Each target does all the set-up itself: Python 3.11 or newer, pip and make suffice.

UV := $(shell command -v uv 2>/dev/null || echo $(CURDIR)/.tools/bin/uv)
RUN := $(UV) run --no-sync
# One process more than CI has cores: a test waits for other programs for a fifth of its time.
PYTEST := $(RUN) pytest -q -n 3
# What each package tests of itself, and the rules of the house.
UNITS := core/tests integrations plugin-template/tests tests/architecture
# What is tested in processes of its own: see `conftest.py`.
ALONE := integrations/ray
# What npm brings of the services that tests start; the rest is in wheels, or in `make services`.
AZURITE := .cache/azurite/node_modules/.package-lock.json
NODE := $(CURDIR)/.cache/node
SPHINX := $(CURDIR)/.cache/site

export UV_COMPILE_BYTECODE ?= 1
export UV_PYTHON_DOWNLOADS ?= never
export UV_LINK_MODE ?= copy
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup quick test check lint types demo bench docs site api soak services clean

help:
	@echo "make quick   lint, types, unit tests: for each commit (2 minutes on two cores)"
	@echo "make test    lint, types, and all that is tested on one Python: for each change (20 minutes)"
	@echo "make check   other Pythons, lowest versions, long seeds: before a release, and in CI"
	@echo "make lint    ruff only                        make demo    a data platform, on this machine"
	@echo "make bench   the budgets, as ratios           make docs    write the packages' pages, check the docs"
	@echo "make site    the pages as HTML, with a search: build/site/index.html"
	@echo "make services   with root: what wheels and npm can't bring: MariaDB, PgBouncer, Docker, valgrind"
	@echo "make api     write down the public API        make soak    the long forms of the soaks; SEEDS=100000"

$(CURDIR)/.tools/bin/uv:
	python3 -m pip install --quiet --disable-pip-version-check --target $(CURDIR)/.tools 'uv>=0.9'

setup: $(UV)
	@$(UV) sync --quiet --locked --all-packages --all-extras

# Where npm has nothing, the tests of Azure's storage are skipped, and named at the end.
$(AZURITE): tests/services/azurite/package-lock.json | $(UV)
	-@command -v npm >/dev/null || UV_PROJECT_ENVIRONMENT=$(NODE) $(UV) sync -q --locked --only-group node
	@mkdir -p .cache/azurite && cp tests/services/azurite/*.json .cache/azurite
	-@PATH="$$PATH:$(NODE)/bin" npm ci --prefix .cache/azurite \
		--ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error

services:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends mariadb-server pgbouncer docker.io valgrind

lint: setup
	$(RUN) ruff check
	$(RUN) ruff format --check

types: setup
	$(RUN) python tests/architecture/typecheck.py

quick: lint types
	$(PYTEST) -m "not slow and not check" $(UNITS)

test: lint types $(AZURITE)
	$(PYTEST) -m "not check" --durations=10
	$(PYTEST) -m "not check" $(ALONE)

check: setup
	$(RUN) python tests/matrix/other_pythons.py
	$(MAKE) site
	$(PYTEST) core/tests/simulation/test_seeds.py --seeds=10000
	$(PYTEST) -m check
	$(PYTEST) -m check $(ALONE)

demo: export FLOWSTONE_HOME := $(or $(FLOWSTONE_HOME),$(CURDIR)/.cache/demo)
demo: setup $(if $(findstring azure,$(ARGS)),$(AZURITE))
	@$(RUN) python -m docs.demo.demo $(ARGS)

bench: setup $(AZURITE)
	@$(RUN) python -m tests.benchmarks $(ARGS)

soak: setup
	$(RUN) pytest --soak $(if $(SEEDS),--seeds=$(SEEDS)) --timeout=3600

clean:
	rm -rf .venv .tools .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

docs: setup
	$(RUN) python -m tests.docs.packages
	$(RUN) python -m tests.docs.options
	$(RUN) pytest -q tests/docs
	@ls $(wildcard *.md docs/*.md integrations/*/README.md plugin-template/README.md)

# Sphinx has an environment of its own; a warning is an error.
site: $(UV)
	@UV_PROJECT_ENVIRONMENT=$(SPHINX) $(UV) sync --quiet --locked --only-group site
	$(SPHINX)/bin/python -m sphinx --quiet --fail-on-warning --keep-going -b html -c docs/site . build/site
	@echo "build/site/index.html"

api: setup
	$(RUN) python tests/architecture/api.py
