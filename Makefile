# All commands of the project. A fresh machine needs python3 (3.11 or newer) and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help install check check-generated test test-dstack coverage test-pythons demo bench docs alerts dashboards clean
help:
	@echo 'make demo    a real engine, real containers, and why each one ended (DEMO_SECONDS=20 sets how long)'
	@echo 'make test    all tests, on real engines'
	@echo 'make test-dstack   the exporter beside the real dstack; needs root, and Go the first time'
	@echo 'make coverage   all tests, and the branch coverage of exporter/: at least 97 %'
	@echo 'make test-pythons   unit and contract tests on each supported Python that is installed'
	@echo 'make check   style, types, import layers, generated files'
	@echo 'make docs    write the pages and pictures that come from the code'
	@echo 'make alerts  write the rules for Prometheus from their thresholds'
	@echo 'make dashboards   write the dashboards'
	@echo 'make bench   measure speed and memory, as ratios within one run'

install: $(STAMP)
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ssh,grpc,dev]'
	@touch $@

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory check-generated

check-generated: $(STAMP)
	$(BIN)/python docs/make.py --check
	$(BIN)/python -m docs.pictures --check
	$(BIN)/python -m alerts.make --check
	$(BIN)/python -m dashboards.make --check

# Two more than processors: the tests on real engines mostly wait, for these or for the kernel's counter.
WORKERS     ?= $(shell echo $$(($$(nproc) + 2)))
PYTEST_ARGS ?= -n $(WORKERS) --dist loadscope --no-loadscope-reorder

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-dstack: $(STAMP)
	@$(BIN)/python -m tests.dstack
	@exec unshare --mount --net --propagation private env EXIT_EXPORTER_DSTACK_NAMESPACE=1 \
		$(BIN)/python -m pytest tests/dstack $(DSTACK_ARGS)

coverage: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS) --cov

test-pythons:
	@exec .ci/test-pythons

demo: $(STAMP)
	@exec $(BIN)/python -m tests.lab.demo

bench: $(STAMP)
	@exec $(BIN)/python -m bench

docs: $(STAMP)
	$(BIN)/python docs/make.py
	$(BIN)/python -m docs.pictures

alerts: $(STAMP)
	$(BIN)/python -m alerts.make

dashboards: $(STAMP)
	$(BIN)/python -m dashboards.make

clean:
	rm -rf $(VENV) build dist
