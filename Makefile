# One command a job; `make` alone lists them. Every target installs what it needs first.
.DEFAULT_GOAL := help
.SILENT:
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

# Each plan imports large SDKs: without bytecode, each process would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

-include .env

BIN := .venv/bin
ENVIRONMENTS := local dev staging prod
STACKS := $(sort $(patsubst Pulumi.%.yaml,%,$(wildcard Pulumi.*.yaml)))
EVIDENCE ?= evidence
NOW := $(shell date +%s)
SEED ?= $(NOW)
PYTEST = $(BIN)/python -m pytest --no-header -n 2 --dist loadgroup --randomly-seed=$(SEED)
TOOLS = $(CURDIR)/$(BIN):$(PATH)
SHELL_SCRIPTS = $(shell git ls-files '*.sh' .ci ':!.ci/programs')
IMAGE ?= groundwork-app
TAG ?= $(shell git rev-parse --short=12 HEAD)$(shell git diff --quiet HEAD -- app requirements || echo -dirty)

##@ Use

up: install ## Bring the local environment up and get a prediction from it (DATA=people.csv: train on your own table)
	$(BIN)/python up.py up $(if $(DATA),--data "$(DATA)") $(if $(PORT),--port "$(PORT)")

down: install ## Destroy the local environment and stop every process of it
	$(BIN)/python up.py down

drift-demo: install ## Let other people come to the running service: drift is seen, a model is retrained, taken up, taken back
	$(BIN)/python drift_demo.py $(if $(PORT),--port "$(PORT)")

preview: install ## Show what `make up` would change, and change nothing
	$(BIN)/python up.py preview

plan: install-plan ## Plan every environment on every cloud without an account (STACK=dev: that one, type by type)
	$(BIN)/python -m localcloud plan -C . $(addprefix -s ,$(or $(STACK),$(ENVIRONMENTS)))

policy: install-plan install-scanners ## Judge every stack on every cloud, and write the evidence to evidence/ (EVIDENCE=...)
	$(BIN)/python -m localcloud plan -C . $(addprefix -s ,$(STACKS)) --json | \
	$(BIN)/python -m policies check - --complete --out "$(EVIDENCE)"

bootstrap: install-deploy ## Say what must exist before the first deployment, as a script to read and to run piece by piece
	$(BIN)/python -m rollout bootstrap $(if $(STATE),--state "$(STATE)")

cost: install-plan ## Estimate what machines to train on cost: CPU, GPU, spot and on demand, an hour and a month
	$(BIN)/python -m stacks.costs

install: install-local ## Make .venv with what the local environment needs (PYTHON=... names an interpreter)

install-%:
	PYTHON="$(PYTHON)" ./install.sh $*

##@ Develop

init: install-dev ## Make .venv with everything, the commit hooks, and your .env
	$(BIN)/pre-commit install
	test -e .env || cp .env.template .env

install-workflow-tools: install-dev ## Build actionlint and act into .venv/bin, where Go is installed: lint and tests use them
	command -v go >/dev/null || { echo "Go is needed to build actionlint and act, and there is none here: install it (https://go.dev), or \
	put both on the PATH. Without them, make lint and the tests say what they skipped." >&2; exit 1; }
	GOBIN="$(CURDIR)/$(BIN)" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	GOBIN="$(CURDIR)/$(BIN)" go install github.com/nektos/act@v0.2.89

install-axe: ## Put axe-core into .venv-axe, where npm is installed: with it, the browser tests judge accessibility once more
	command -v npm >/dev/null || { echo "npm is needed to install axe-core, and there is none here: install Node.js. Without it, the \
	browser tests make their own checks alone." >&2; exit 1; }
	mkdir -p .venv-axe && cp tests/app/axe/package.json tests/app/axe/package-lock.json .venv-axe/
	cd .venv-axe && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

format: install-dev ## Bring the code into its form
	$(BIN)/ruff format --quiet
	$(BIN)/ruff check --quiet --fix --select I

lint: install-dev ## Look for mistakes: code, types, shell scripts, secrets, workflows
	$(BIN)/ruff check --quiet --output-format concise && echo "  ✓  lint"
	$(BIN)/mypy --no-error-summary && echo "  ✓  types"
	$(BIN)/shellcheck $(SHELL_SCRIPTS) && echo "  ✓  shell scripts"
	git ls-files -z | xargs -0 -P 2 -n 300 .ci/secrets && echo "  ✓  no secrets"
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions .github/actions/*/action.yml
	said=$$($(BIN)/zizmor --offline --quiet --no-progress --persona=auditor .github 2>&1) || { echo "$$said"; exit 1; }
	echo "  ✓  workflows"
	if PATH="$(TOOLS)" command -v actionlint >/dev/null; then PATH="$(TOOLS)" actionlint && echo "  ✓  workflows by actionlint"; \
	else echo "  …  workflows by actionlint: skipped, as it is not installed (make install-workflow-tools)"; fi

check: install-dev ## Form, lint, types and unit tests
	$(BIN)/ruff format --quiet --check --output-format concise || { echo "Not in its form, see the files above: run make format."; exit 1; }
	echo "  ✓  form"
	$(MAKE) lint
	echo "  …  unit tests, in the random order $(SEED) (SEED=$(SEED) repeats it)"
	$(PYTEST) -m "not slow"

test: check ## Everything: check, plan inventories, end to end
	echo "  …  plan inventories and end to end, in the random order $(SEED)"
	$(PYTEST) -m slow

parity: install-dev ## Write docs/parity.md from the plans: what is the same on each cloud, and what is not
	$(BIN)/python -m tests.plans.features

crash-matrix: install-dev ## Kill the engine at every step of up, refresh and destroy, and write docs/crash-matrix.md: hours (PART=1/50: some; CONTINUE=FILE)
	$(BIN)/python -m tests.crash.matrix $(if $(PART),--part "$(PART)") $(if $(CONTINUE),--continue "$(CONTINUE)")

bench-up: ## Measure in a fresh clone: the install, the first up, the second up
	.ci/bench-up

programs: install-dev ## Plan programs of others, FROM="folder ...", unchanged; write docs/programs.md
	test -n "$(FROM)" || { echo 'make programs: name the folders, as in FROM="templates examples"' >&2; exit 2; }
	$(BIN)/python .ci/programs $(FROM)

bench-engine: install-dev ## Measure localcloud: plan against cdk synth, up against its calls replayed bare, growth
	.ci/bench-engine

bench-app: install-dev ## Measure the service beside MLServer, BentoML and FastAPI, where wrk is installed (SECONDS_EACH=5)
	.ci/bench-app $(if $(SECONDS_EACH),--seconds "$(SECONDS_EACH)")

soak: install-dev ## Ask the service for ten minutes over 64 connections: no error, flat memory, where wrk is installed (DURATION=600)
	$(BIN)/python -m tests.app.bench.soak $(if $(DURATION),--seconds "$(DURATION)")

bench-policy: install-dev install-scanners ## Measure all stacks judged by every tool, against one Checkov command line
	.ci/bench-policy

loadtest: install-local install-loadtest ## Put load on the service that make up started, or HOST=...; judge it (DURATION, RATE, USERS, OUT)
	$(BIN)/python -m tests.app.load.run $(if $(HOST),--host "$(HOST)") $(if $(DURATION),--seconds "$(DURATION)") \
	$(if $(RATE),--rate "$(RATE)") $(if $(USERS),--users "$(USERS)") $(if $(OUT),--out "$(OUT)")

profile: install-dev install-loadtest ## Write a flame graph of /predict under load to measured/profile.svg (DURATION, OUT)
	$(BIN)/python -m tests.app.load.flames $(if $(DURATION),--seconds "$(DURATION)") $(if $(OUT),--out "$(OUT)")

fuzz: install-local install-fuzz ## Call a service with 10,000 requests made up from its own description: no 5xx, nothing undescribed (CALLS, SEED)
	$(BIN)/python -m tests.app.fuzz $(if $(CALLS),--calls "$(CALLS)") --seed "$(SEED)"

picture: install-dev ## Write docs/images/home.png anew: the home page of a service in use, seen by an installed Chromium
	$(BIN)/python -m tests.app.picture

clean: ## Remove what was made: the local environment, .venv, caches
	if test -d .localcloud; then $(MAKE) down; fi
	rm -rf .venv .venv-scanners .venv-loadtest .venv-fuzz .venv-axe .venv-bench measured .localcloud evidence .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Requirements

pin-dependencies: install ## Compile requirements/*.in to pinned, hashed files; versions stay where they can
	.ci/pin

upgrade-dependencies: install ## The same, with the newest versions
	.ci/pin --upgrade

##@ Image

build-image: docker-engine ## Build the app's image, tagged with its commit (VARIANT=gpu: that to train on GPUs)
	DOCKER_BUILDKIT=1 docker build --file app/Dockerfile --build-arg VARIANT="$(or $(VARIANT),cpu)" --tag "$(IMAGE):$(TAG)" .
	echo "$(IMAGE):$(TAG)"

push-image: docker-engine ## Push it (REGISTRY=the repository's URL: one of the stack's outputs)
	test -n "$(REGISTRY)" || { echo "Name the repository: make push-image REGISTRY=... (the stack output registry)." >&2; exit 1; }
	docker tag "$(IMAGE):$(TAG)" "$(REGISTRY):$(TAG)"
	docker push "$(REGISTRY):$(TAG)"

docker-engine:
	docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || { echo "No Docker engine answers here. Images are built \
	and pushed where one runs (start it, or name it in DOCKER_HOST); make up needs none: it runs the app as a process." >&2; exit 1; }

help: ## This list
	awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-23s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.NOTPARALLEL:
.PHONY: up down drift-demo preview plan policy bootstrap cost install init install-workflow-tools format lint check test parity crash-matrix bench-up programs \
	bench-engine bench-app bench-policy soak loadtest profile install-axe fuzz picture clean pin-dependencies upgrade-dependencies build-image push-image docker-engine help
