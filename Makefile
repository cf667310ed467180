# `make` says what there is. Everything happens in .venv; nothing is installed beside it, except by
# `make system-deps`.
.DEFAULT_GOAL := help
.PHONY: help setup sim test check system-deps clean
SHELL := /bin/bash

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
SYSTEM_DEPS := chromium nftables iproute2 espeak-ng libsdformat12-12 libegl1 libgl1-mesa-dri

# A ROS 2 distribution on this machine brings rclpy: then .venv sees its packages and the wheels
# stay out. Without one the wheels bring it, and nothing of another ROS may reach them.
HAS_ROS := $(shell [ -n "$$ROS_DISTRO" ] || /usr/bin/python3 -c 'import rclpy' 2>/dev/null && echo yes)
ifeq ($(HAS_ROS),yes)
PYTHONS := /usr/bin/python3
VENV_FLAGS := --system-site-packages
EXTRAS := ai,sim,viewer,dev
else
PYTHONS := python3.11 python3.12 python3.13 python3.10 python3.14 python3
VENV_FLAGS :=
EXTRAS := ros,ai,sim,viewer,dev
unexport PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
endif

help:
	@echo 'make setup        prepare .venv: packages, then model weights (minutes, once)'
	@echo 'make sim          set up, then run six units that search for a cat; ARGS="--headless" ...'
	@echo 'make test         set up, then run the tests; ARGS="tests/unit -k gossip" ...'
	@echo 'make check        set up, then lint, types, import rules and tests'
	@echo 'make system-deps  install the Debian packages that some tests and the camera want'
	@echo 'make clean        remove .venv and what builds leave behind'

setup: $(READY)

$(BIN)/python:
	@python=; for each in $(PYTHONS); do \
	    if "$$each" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' \
	        2>/dev/null; then python=$$each; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo 'make setup: no Python 3.10 to 3.14 here: apt-get install python3 python3-venv' >&2; \
	    exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "make setup: $$python makes no venv: apt-get install python$$version-venv" >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV_FLAGS) $(VENV) || { rm -rf $(VENV); exit 1; }

$(READY): $(BIN)/python setup.py pyproject.toml constraints.txt config/models.yaml
	@echo 'Installing packages: minutes, once. At the end pip is silent for one or two of them.'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]' || \
	    { echo 'make setup: pip failed, see above. Is there no network? Connect this machine or point' \
	        'pip at a mirror (PIP_INDEX_URL), then run make again: downloads are kept.' >&2; exit 1; }
	$(BIN)/mtor models fetch
	@touch $@

sim: setup
	@$(BIN)/mtor sim $(ARGS)

test: setup
	@$(BIN)/python -m pytest $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(ARGS)

# Other programs may hold apt's lock for a while; mirrors stall now and then.
APT = $(if $(filter 0,$(shell id -u)),,sudo )env DEBIAN_FRONTEND=noninteractive apt-get \
       -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Acquire::http::Timeout=30
system-deps:
	@if dpkg -s $(SYSTEM_DEPS) >/dev/null 2>&1; then \
	    echo 'All Debian packages are here: $(SYSTEM_DEPS)'; \
	else \
	    $(APT) update && $(APT) install -y --no-install-recommends $(SYSTEM_DEPS); \
	fi

clean:
	rm -rf $(VENV) build dist install log .cache .mypy_cache .ruff_cache .import_linter_cache \
	    .hypothesis src/*.egg-info
	find src tests launch benchmarks -name __pycache__ -prune -exec rm -rf {} +
