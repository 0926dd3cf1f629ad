# `make run` does all the set-up and opens the application; `make test` passes from a fresh clone.
# Paths may hold blanks: no file name is ever a target, and every one is quoted where it is used.

SHELL = /bin/sh
.DEFAULT_GOAL = help
.PHONY: help run test check bench bench-serving clean

PYTHON ?= python3
VENV ?= $(CURDIR)/.venv
GROUNDWORK_PORT ?= 8501
GROUNDWORK_DATA ?= $(CURDIR)/data
GROUNDWORK_MODELS ?= $(GROUNDWORK_DATA)/models
GROUNDWORK_CACHE ?= $(GROUNDWORK_DATA)/cache
export VENV GROUNDWORK_PORT GROUNDWORK_DATA GROUNDWORK_MODELS GROUNDWORK_CACHE

BENCH_MODEL ?= qwen2.5-coder-1.5b-instruct-q4_k_m
TEST_MODELS = smollm2-135m-instruct-q4_1 all-minilm-l6-v2
IN_VENV = "$(VENV)/bin/python"

help:
	@echo "make run      set everything up and open http://127.0.0.1:$(GROUNDWORK_PORT)"
	@echo "make test     run the tests; ARGS='-k words' chooses some"
	@echo "make check    formatting, lint and types"
	@echo "make bench    measure the engine, the pages and the answers"
	@echo "make bench-serving   measure the model server beside llama.cpp's own tools (an hour; builds them first)"
	@echo "make clean    delete the virtual environment and caches; documents and models stay"
	@echo
	@echo "GROUNDWORK_DATA, GROUNDWORK_MODELS, GROUNDWORK_PORT, VENV and PYTHON choose other places."

run:
	@"$(PYTHON)" core/preflight.py --for run
	@"$(PYTHON)" -m core.install
	@$(IN_VENV) -m core.models fetch
	@ls "$(GROUNDWORK_CACHE)"/choice-*.json >/dev/null 2>&1 || $(IN_VENV) -m core.serving.vectors.prepare
	@exec $(IN_VENV) -m streamlit run app.py --server.port "$(GROUNDWORK_PORT)"

test:
	@"$(PYTHON)" core/preflight.py --for test
	@"$(PYTHON)" -m core.install --dev
	@$(IN_VENV) -m core.models fetch $(TEST_MODELS)
	@exec $(IN_VENV) -m pytest $(ARGS)

check:
	@"$(PYTHON)" core/preflight.py --for test
	@"$(PYTHON)" -m core.install --dev
	@failed=0; \
	echo "Formatting"; $(IN_VENV) -m ruff format --check . || failed=1; \
	echo "Lint"; $(IN_VENV) -m ruff check . || failed=1; \
	echo "Types"; $(IN_VENV) -m mypy || failed=1; \
	exit $$failed

bench:
	@"$(PYTHON)" core/preflight.py --for test
	@"$(PYTHON)" -m core.install --dev
	@$(IN_VENV) -m core.models fetch "$(BENCH_MODEL)" all-minilm-l6-v2
	@$(IN_VENV) -m tests.bench.serving --model "$(BENCH_MODEL)" --only turns,fairness
	@$(IN_VENV) -m tests.bench.bench_pages --chat-model "$(BENCH_MODEL)"
	@$(IN_VENV) -m tests.bench.bench_answers --chat-model "$(BENCH_MODEL)"

bench-serving:
	@"$(PYTHON)" core/preflight.py --for test
	@"$(PYTHON)" -m core.install --dev
	@$(IN_VENV) -m core.models fetch "$(BENCH_MODEL)" all-minilm-l6-v2
	@$(IN_VENV) -m tests.bench.serving --model "$(BENCH_MODEL)"

clean:
	@if [ -f "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -not -path './data/*' -type d -prune -exec rm -rf {} +
	@echo "Clean. Documents, models and settings are still in $(GROUNDWORK_DATA)."
