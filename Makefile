# Works with any POSIX make, and with nothing installed but Python 3.11 or later.
.POSIX:

VENV = .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
INSTALLED_DEV = $(VENV)/.installed-dev
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --editable

# Passed on, as in: make dev ARGS="--users 1000 --port 9000", make test ARGS="tests/test_dev.py -n0"
ARGS =

help:
	@echo "make dev     start the server on an embedded Cognito with fictional users"
	@echo "make test    run the tests but the slow ones"
	@echo "make test-slow  run the slow ones: attacks, generated documents, browsers, proxies,"
	@echo "             and gateways if there was a make gateways before"
	@echo "make gateways  install gateways for the tests, which takes Node 20 or later and npm"
	@echo "make check   lint, types, import floors, drift of the schemas and the docs, dead links"
	@echo "make schema  write schema.graphql, the same without federation, and the schema of"
	@echo "             policy files"
	@echo "make docs    write the tables of the documentation, and build it in build/docs"
	@echo "make bench   measure the server beside its peers, and write the pages that show it;"
	@echo "             takes Node 20 or later, npm, and a quarter of an hour"
	@echo "make lock    update the lock files of the image (UPGRADE=--upgrade for newer releases)"
	@echo "make clean   remove what the others made"

dev: $(INSTALLED_DEV)
	@$(BIN)/graphql-admin dev $(ARGS)

# A worker that has nothing left takes from another, so that none waits for the longest file.
test: $(INSTALLED)
	$(BIN)/pytest -n auto --dist worksteal -m "not slow" $(ARGS)

# File by file, so that only one worker starts what a file's tests share, such as the gateways.
test-slow: $(INSTALLED)
	$(BIN)/pytest -n auto --dist loadfile -m slow $(ARGS)

GATEWAYS = tests/node/gateways

gateways: $(GATEWAYS)/node_modules/.package-lock.json

$(GATEWAYS)/node_modules/.package-lock.json: $(GATEWAYS)/package-lock.json
	cd $(GATEWAYS) && npm ci
	@touch $@

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/floors
	$(BIN)/python .ci/words
	$(SCHEMA) --check
	$(SCHEMA) --plain --check --output $(PLAIN)
	$(BIN)/python -m graphql_admin.policy.file_schema --check
	$(BIN)/python -m docs.tables --check
	$(BIN)/python -m docs.site

docs: $(INSTALLED)
	$(BIN)/python -m docs.tables
	$(BIN)/python -m docs.site

# Without the settings of who runs it, since the files are those of default settings.
SCHEMA = env -i PATH="$$PATH" $(BIN)/graphql-admin schema
PLAIN = examples/schema.plain.graphql

schema: $(INSTALLED)
	$(SCHEMA) --output schema.graphql
	$(SCHEMA) --plain --output $(PLAIN)
	$(BIN)/python -m graphql_admin.policy.file_schema

BENCH = build/bench/venv

# All of it, since the pages show the whole; `python -m bench` takes options.
bench: $(BENCH)/.installed
	$(BENCH)/bin/python -m bench
	$(BENCH)/bin/python -m bench.quotas
	$(BENCH)/bin/python -m bench.readme

$(BENCH)/.installed: $(INSTALLED)
	$(BIN)/python -m bench.interpreter $(BENCH)
	@touch $@

# UPGRADE=--upgrade takes newer releases than the locks have.
UPGRADE =
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command "make lock" $(UPGRADE)

lock: $(INSTALLED)
	$(BIN)/pip install --quiet uv
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(BIN)/python -c 'import tomllib; \
		print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])' \
		| $(COMPILE) --output-file requirements-build.lock -

clean:
	rm -rf $(VENV) $(GATEWAYS)/node_modules build dist *.egg-info .*_cache .hypothesis
	find graphql_admin tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Most dependencies are of the checks and tests, and not needed to try the server.
$(INSTALLED): $(INSTALLED_DEV)
	@echo "Installing what the checks and tests need; this takes a minute or two."
	@$(INSTALL) '.[dev,docs,test]'
	@touch $(INSTALLED)

# A python3 that is too old, or a shim that leads nowhere, is passed over.
$(INSTALLED_DEV): pyproject.toml
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			$(BIN)/python -c '' 2>/dev/null || $$python -m venv --clear $(VENV) || exit 1; \
			break; \
		fi; \
	done; \
	if ! $(BIN)/python -c '' 2>/dev/null; then \
		echo "Python 3.11 or later is needed, and none was found." \
			"Install it, or name it: make PYTHON=/path/to/python3 ..." >&2; \
		exit 1; \
	fi
	@echo "Installing into $(VENV); this takes a minute or two."
	@$(INSTALL) '.[dev]'
	@touch $(INSTALLED_DEV)

.PHONY: help dev test test-slow gateways check docs schema bench lock clean
