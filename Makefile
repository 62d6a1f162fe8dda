# Every target installs what it needs. `make` alone runs katib-tune on this machine.
PYTHON      ?= python3
VENV        := .venv
BIN         := $(VENV)/bin
CONSTRAINTS ?= .ci/constraints.txt
TORCH_INDEX ?=
export OMP_WAIT_POLICY ?= PASSIVE

LOCAL := $(VENV)/.local
DEV   := $(VENV)/.dev

.DEFAULT_GOAL := run
.PHONY: run demo test test-browser test-cluster test-node test-image test-trainer-image bench bench-search lint install clean help

help:           ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

run: $(LOCAL)   ## workspace, bot and local engine; prints the page's address
	@$(BIN)/python -m bot run

demo: $(LOCAL)  ## the same conversation without a browser, in at most three minutes
	@$(BIN)/python -m bot.demo

install: $(LOCAL) ## everything for one machine, model and data included

test: $(DEV)    ## all tests that need no browser and no cluster
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

test-browser: $(DEV) ## Chromium against the page (installs Debian's chromium if there is none)
	@command -v chromium >/dev/null || (apt-get update -q && apt-get install -q -y chromium) || \
	  (echo "make test-browser needs Chromium: install it, e.g. apt-get install chromium" >&2; exit 1)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m browser tests

test-cluster: $(DEV) ## a Kubernetes API server: KUBECONFIG's, or two that TEST_CLUSTER_UP starts
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(if $(TEST_CLUSTER_UP),-n 2 --dist loadfile) -m cluster tests

test-image: $(DEV) ## the Dockerfile's steps for the bot in a clean folder, without Docker (half a minute)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -s -m image tests/test_dockerfile.py

test-trainer-image: $(DEV) ## the same for the trainer, and one trial in it (one to two minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m image tests/trainer/test_image.py

bench: $(DEV)   ## the figures of the README: the page, 1,000 Experiments on a cluster, the trial program
	$(BIN)/python -m tests.bench.workspace_page
	$(BIN)/python -m tests.bench.katib_poll
	$(BIN)/python -m tests.bench.katib_latency
	$(BIN)/python -m tests.bench.trainer_throughput
	$(BIN)/python -m tests.bench.trainer_start
	$(BIN)/python -m tests.bench.trainer_processes

bench-search: $(DEV) ## is our search space worth having, do bf16 and grouping cost accuracy: two hours
	$(BIN)/python -m tests.bench.trainer_parity
	$(BIN)/python -m tests.bench.guide_in_small

test-node: $(DEV) ## a trial in real containers: KUBECONFIG's node, or one that tests/cluster/node_up.sh starts
	KUBECONFIG="$${KUBECONFIG:-$$(PYTHON=$(BIN)/python tests/cluster/node_up.sh | tail -1)}" OMP_NUM_THREADS=1 \
	  $(if $(NETNS),nsenter --net=/run/netns/$(NETNS)) $(BIN)/python -m pytest -m node tests/cluster/test_real_node.py

lint: $(DEV)    ## ruff and mypy
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:          ## removes the environment; Experiments and downloads stay
	rm -rf $(VENV) *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  (echo "katib-tune needs Python 3.11 or newer, this is $$($(PYTHON) --version). Try make PYTHON=python3.12" >&2; exit 1)
	@$(PYTHON) -m venv $(VENV) || \
	  (echo "Python's venv module is missing: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1)

$(LOCAL): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "First start: about 250 MB of Python packages, PyTorch besides (200 MB for CPUs; on Linux"
	@echo "the default build brings CUDA, some 3 GB: for the CPU build stop here and run"
	@echo "  make install TORCH_INDEX=<address of PyTorch's CPU index, see pytorch.org, Get Started>),"
	@echo "then model and data, 86 MB. Later starts take seconds."
	@$(if $(TORCH_INDEX),$(BIN)/python -m pip install -c $(CONSTRAINTS) --index-url $(TORCH_INDEX) torch)
	@$(BIN)/python -m pip install --disable-pip-version-check -c $(CONSTRAINTS) -e '.[local]' || \
	  (echo "The packages could not be installed; the lines above say why (no network? disk full?)." >&2; exit 1)
	@$(BIN)/python -m trainer fetch --model default --dataset default
	@touch $@

$(DEV): $(LOCAL)
	@$(BIN)/python -m pip install --disable-pip-version-check -c $(CONSTRAINTS) -e '.[local,dev]'
	@touch $@
