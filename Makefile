# make            what there is
# make demo       from a clone to a second-round model
# make demo-base  the same from a base model
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

HARDWARE ?= cpu
VENV ?= .venv
KILLS ?= 100
DEMO ?= config/demo.yaml
# With HARDWARE=gpu the demo asks for one GPU: config/demo-gpu.yaml is laid over it.
DEMO_FILES = $(DEMO) $(if $(filter gpu,$(HARDWARE)),$(DEMO:.yaml=-gpu.yaml))
THIRD ?= all

BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready-$(HARDWARE)

# Programs of the environment first, the package importable, nothing sent to anyone. Snakemake bounds the threads of
# its jobs; everything else gets one, because threads on busy cores wait for each other.
export PATH := $(BIN):$(PATH)
export PYTHONPATH := $(CURDIR)/scripts
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false
export HF_HUB_DISABLE_TELEMETRY := 1
export VLLM_NO_USAGE_STATS := 1

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z-]+):.* ## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do
	printf '  make %-15s %s\n' "$$name" "$$text"
	done
	echo "  variables: HARDWARE=cpu|gpu  VENV=.venv  PYTHON=python3  DEMO=config/demo.yaml  KILLS=100  THIRD=all"

.PHONY: env
env: $(READY) ## the environment, envs/cpu.lock installed into .venv
$(READY): envs/$(HARDWARE).lock envs/install.sh
	@rm -f $(VENV)/.ready-*
	envs/install.sh $(HARDWARE) $(VENV)
	touch $@

.PHONY: light
light: .venv-light/.ready ## only what `snakemake -n` needs, into .venv-light
.venv-light/.ready: envs/light.lock envs/install.sh
	@envs/install.sh light .venv-light
	touch $@

.PHONY: lock
lock: ## upgrade: write envs/*.lock anew from envs/*.in
	@envs/lock.sh

# A driver that was killed leaves its lock behind. It is removed only when no Snakemake works in this folder: one
# started by make holds the flock (its jobs do not inherit it), one started by hand shows in /proc.
.PHONY: demo
demo: env ## two rounds of SmolLM2-135M-Instruct on the CPU; call it again after an interruption
	@mkdir -p .snakemake
	exec 9>.snakemake/make.flock
	flock --nonblock 9 || { echo "demo: another make demo is at work in this folder; wait for it" >&2; exit 1; }
	if [ -n "$$(ls -A .snakemake/locks 2>/dev/null)" ]; then
	for process in /proc/[0-9]*; do
	if [ "$$(readlink "$$process/cwd" 2>/dev/null)" = "$(CURDIR)" ] &&
	tr '\0' '\n' <"$$process/cmdline" 2>/dev/null | grep -qE '(^|/)snakemake$$'; then
	echo "demo: Snakemake is at work in this folder (process $${process##*/}); wait for it or stop it" >&2
	exit 1
	fi
	done
	snakemake --configfile $(DEMO_FILES) --unlock --quiet all
	fi
	touch .snakemake/make.flock
	snakemake --configfile $(DEMO_FILES)
	# Snakemake shows the summary when it has done something; show it when there was nothing to do, too.
	for run in $$(python -c 'import sys, yaml; print(*yaml.safe_load(open(sys.argv[1]))["runs"])' $(DEMO)); do
	[ "results/$$run/summary.txt" -nt .snakemake/make.flock ] || { echo; cat "results/$$run/summary.txt"; }
	done

.PHONY: demo-base
demo-base: ## three rounds from the base model Gemma 3 270M on the CPU (ACCEPT_GEMMA_TERMS=yes)
	@$(MAKE) --no-print-directory demo DEMO=config/demo-base.yaml

.PHONY: demo-recipes
demo-recipes: env ## every recipe for one short round on SmolLM2-135M-Instruct, on the CPU
	@snakemake study --config study=config/test/studies/recipes-small.yaml

PYTEST := python -m pytest

.PHONY: test
test: lint test-unit test-workflow test-real ## lint, and the tiers unit, workflow and real

.PHONY: test-unit
test-unit: env ## pure functions (seconds)
	@$(PYTEST) tests/unit -m "not slow"

.PHONY: test-slow
test-slow: env ## the long tests of the other tiers (an hour or two)
	@$(PYTEST) tests/unit tests/workflow tests/real tests/faults -m slow

.PHONY: test-workflow
test-workflow: env ## the whole graph on the fake engine (minutes)
	@$(PYTEST) tests/workflow -m "not slow"

.PHONY: test-real
test-real: env ## real weights: engines, training, one short round (minutes)
	@$(PYTEST) tests/real -m "not slow"

.PHONY: test-models
test-models: env .venv-transformers4/.ready ## tiny models of many architectures through a round (THIRD=0, 1 or 2: a third)
	@ISHEEP_THIRD=$(THIRD) ISHEEP_TRANSFORMERS4=$(CURDIR)/.venv-transformers4 $(PYTEST) tests/models
# The oldest release that merged models must load in; the rest of what it needs is in the environment.
.venv-transformers4/.ready: | env
	@python -m pip install --quiet --no-deps --target .venv-transformers4 transformers==4.57.3 \
	huggingface_hub==0.36.0 tokenizers==0.22.1
	touch $@

.PHONY: test-gpu
test-gpu: env ## the tier real on one NVIDIA GPU, with HARDWARE=gpu (minutes)
	@CUDA_VISIBLE_DEVICES=$${CUDA_VISIBLE_DEVICES:-0} ISHEEP_GPUS=1 $(PYTEST) tests/real

.PHONY: test-faults
test-faults: env ## what can break, broken on purpose; KILLS=100 kills
	@KILLS=$(KILLS) $(PYTEST) tests/faults -m "not slow"

.PHONY: test-scenarios
test-scenarios: env ## what people do between two starts, and what it costs (minutes)
	@$(PYTEST) tests/scenarios

.PHONY: test-browser
test-browser: env ## the report in a real browser (installs Debian's Chromium: root)
	@$(PYTEST) tests/browser

.PHONY: test-slurm
test-slurm: env ## on a SLURM cluster of its own (installs Debian's SLURM: root)
	@$(PYTEST) tests/slurm

.PHONY: bench
bench: env ## every CPU benchmark in small settings, and a table of goals beside results (under 40 minutes)
	@snakemake models/SmolLM2-135M-Instruct.Q4_1 --configfile config/demo.yaml
	python benchmarks

.PHONY: lint
lint: env ## ruff, mypy, snakefmt, snakemake --lint
	@ruff check .
	ruff format --check .
	mypy
	snakefmt --check --compact-diff Snakefile rules
	# It asks for conda or a container in every rule; one environment serves all of them, and envs/ makes it.
	snakemake --lint 2>&1 | grep '^    \* ' | grep -v 'Specify a conda environment' && exit 1 || true

.PHONY: format
format: env ## format Python and Snakemake files
	@ruff format .
	ruff check --fix .
	snakefmt Snakefile rules

.PHONY: config
config: env ## config/schema.json, config/defaults.yaml, docs/config.md and docs/stages.md from the code
	@python -m isheep.config.generate
	python -m isheep.stages

.PHONY: clean
clean: ## remove results, logs, fetched models and data, and Snakemake's notes (not the environment)
	@rm -rf results logs models data/hub .snakemake
