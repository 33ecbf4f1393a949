# Paddock's commands; `make` alone lists them. Needs Python 3.11 or newer and make (GNU make from 3.81 on).
# PORT, FLOWER_PORT and every setting may be given: `make run PORT=9000`, or in the environment, or in .env.

.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := .venv/bin/python

# A prompt may hold anything. Exported plainly, make would expand its $ first, $(shell …) included;
# $(value …) takes it as it was written, and a simply expanded variable is exported as it is.
unexport PROMPT MODEL
export ASK_PROMPT := $(value PROMPT)
export ASK_MODEL := $(value MODEL)

.PHONY: help ask run stop status worker test bench chaos check setup setup-dev

help:
	@echo 'make ask PROMPT="Why is the sky blue?"   ask a model, set-up included; MODEL=NAME chooses'
	@echo 'make run                                 the local stack in the foreground; Ctrl-C ends it'
	@echo 'make stop                                stop what ask started'
	@echo 'make status                              what runs'
	@echo 'make worker                              one more worker, on any machine that reaches Redis and database'
	@echo 'make test | check | bench                tests | lint, types, import rules | benchmarks'
	@echo 'make chaos                               breaks what can break, and counts: about 12 minutes'
	@echo 'make ai-help                             the gateway: containers in front of the Ollama of this machine'
	@echo 'PORT=8000 and FLOWER_PORT=5555 may be set for each.'

setup:
	@sh stack/bootstrap.sh

setup-dev:
	@sh stack/bootstrap.sh dev

ask run stop status: setup
	@$(PYTHON) -m stack $@

worker: setup
	@$(PYTHON) -m worker

bench: setup-dev
	@$(PYTHON) -m bench

chaos: setup-dev
	@$(PYTHON) -m chaos

# Everything on SQLite, and what uses the database once more on Postgres, whatever the first run found. Most tests
# wait most of the time, so more run at once than two cores have room for, in the folders' order: what takes long
# begins first. Those that measure a time run alone.
AT_ONCE = -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder
TEST_PROCESSES = 3

test: setup-dev
	@failed=0; \
	$(PYTHON) -m pytest -m 'not alone' $(AT_ONCE) || failed=1; \
	$(PYTHON) -m pytest -m alone || failed=1; \
	echo 'The integration tests once more, on Postgres:'; \
	export PADDOCK_TEST_DATABASE=postgres; \
	$(PYTHON) -m pytest tests/integration -m 'not one_database and not alone' $(AT_ONCE) || failed=1; \
	$(PYTHON) -m pytest tests/integration -m 'not one_database and alone' || failed=1; \
	exit $$failed

check: setup-dev
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports

-include Makefile.ai
