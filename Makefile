PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

# Left out: what needs Node.js or a browser, or takes its time. .ci/run sees to it.
FAST := not interop and not browser and not slow

.DEFAULT_GOAL := help
.PHONY: help install demo serve test screenshots bench lint types check format

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv with everything the other targets need

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	# Dependency groups need pip 25.1.
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[drf]' --group dev
	@touch $@

demo: install ## Run client instances against a live server and show each exchange
	$(BIN)/python testproject/demo.py

serve: install ## Run testproject on http://127.0.0.1:8000 with an admin login
	cd testproject && ../$(BIN)/python manage.py migrate --verbosity 0
	cd testproject && ../$(BIN)/python seed.py
	cd testproject && exec ../$(BIN)/gunicorn testproject.wsgi:application --bind 127.0.0.1:8000 --workers 4 \
		--limit-request-field_size 17000

test: install ## Run the tests that need nothing beside Python and SQLite
	$(BIN)/pytest -n 2 -m '$(FAST)'

screenshots: install ## Take pictures of the admin's pages into build/screenshots; needs chromium and chromedriver
	SCREENSHOTS=build/screenshots REQUIRE_BROWSER=1 $(BIN)/pytest -q tests/browser/test_pages.py

bench: install ## Measure speed against the targets of the docs
	$(BIN)/python -m benchmarks

lint: install ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install ## Check types, strictly on the package
	PYTHONPATH=testproject $(BIN)/mypy

check: install ## Run Django's system checks and look for a missing migration
	$(BIN)/python testproject/manage.py check --fail-level WARNING
	$(BIN)/python testproject/manage.py makemigrations --check --dry-run oauth_client_attestation
	PUBLIC_URL=https://as.example SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
		$(BIN)/python testproject/manage.py check --deploy --fail-level WARNING
