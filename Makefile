# `make demo` and `make test` set everything up first and are all that most people need.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIPECAT_VENV ?= .venv-pipecat
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo demo-dit serve check test test-pipecat lint types quick unit docs train-articulation lock clean

demo:  ## a photograph speaks: out/demo.mp4
demo: $(VENV)/.demo
	$(BIN)/liveavatar demo -o out/demo.mp4

serve:  ## the studio in a browser: http://127.0.0.1:8642/
serve: $(VENV)/.serve
	$(BIN)/liveavatar serve

demo-dit:  ## the same by a small diffusion model, on any CPU: out/demo-dit.mp4
demo-dit: $(VENV)/.demo-dit
	$(BIN)/liveavatar demo --engine dit -o out/demo-dit.mp4

check: lint types quick  ## style, types, and the tests that are neither slow nor need a network
test: lint types unit    ## everything, as CI runs it

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

quick: $(VENV)/.dev
	$(BIN)/pytest -n auto -m "not slow and not network"

unit: $(VENV)/.dev
	$(BIN)/pytest

test-pipecat: $(PIPECAT_VENV)/.dev  ## the service for Pipecat, which wants another soxr than constraints.txt has
	$(PIPECAT_VENV)/bin/python -m pytest -W default tests/integrations/test_pipecat.py tests/examples -k pipecat

docs: $(VENV)/.docs  ## the documentation as a site: out/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

train-articulation: $(VENV)/.dev
	$(BIN)/pip install --quiet -r training/articulation/requirements.txt
	$(BIN)/python -m training.articulation out/corpus -o src/liveavatar/speech/assets/articulation.safetensors \
		--reader src/liveavatar/speech/assets/whisper_reader.safetensors

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "liveavatar needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e '.[credentials,demo]'
	@touch $@

$(VENV)/.serve: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e '.[credentials,demo,serve,voices]'
	@touch $@

$(VENV)/.demo-dit: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) --extra-index-url https://download.pytorch.org/whl/cpu -e '.[credentials,demo,dit]'
	@touch $@ $(VENV)/.demo

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e '.[credentials,demo,dit,ears,livekit,serve,voices,whisper,dev]'
	@touch $@ $(VENV)/.demo $(VENV)/.serve

$(PIPECAT_VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(PIPECAT_VENV)
	$(PIPECAT_VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[demo,pipecat]' 'hypothesis>=6.120,<7' 'pytest>=8.3,<10'
	@touch $@

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e '.[docs]'
	@touch $@

lock:  ## pin what is installed now: versions for development, and hashes for installations (requirements.lock)
	$(BIN)/pip freeze --exclude-editable --exclude uv | sed 's/+cpu$$//' > constraints.txt
	$(PIP) 'uv>=0.9,<1'
	$(BIN)/uv pip compile pyproject.toml --extra credentials --extra demo --extra ears --extra serve --extra voices --extra whisper -c constraints.txt --universal --generate-hashes \
		--quiet --custom-compile-command 'make lock' -o requirements.lock

clean:
	rm -rf $(VENV) $(PIPECAT_VENV) out .mypy_cache .pytest_cache .ruff_cache .hypothesis
