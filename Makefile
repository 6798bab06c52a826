# All commands of the project. A fresh machine needs python3 (3.11 or newer) and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help install lock sbom audit check check-generated test test-dstack coverage test-pythons demo bench docs alerts dashboards clean
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
	@echo 'make lock    write requirements/, with the hashes of what constraints.txt pins'
	@echo 'make sbom    write build/sbom.json: what is in the image, as CycloneDX'
	@echo 'make audit   look for known vulnerabilities of what is in the image'
	@echo 'make bench   measure speed and memory, as ratios within one run'

install: $(STAMP)
$(STAMP): pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The hashes of all files of a version, so that they hold on each machine and Python. Only Windows needs the
# two packages that are left out.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --constraint constraints.txt \
	--custom-compile-command 'make lock' --no-annotate --no-emit-index-url --no-emit-find-links \
	--no-emit-package colorama --no-emit-package pywin32

lock: $(STAMP)
	$(LOCK) pyproject.toml --all-extras --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --extra grpc --extra ssh --output-file requirements/image.txt
	echo hatchling | $(LOCK) - --output-file requirements/build.txt

sbom: $(STAMP)
	$(PYTHON) -m venv --without-pip --clear build/sbom
	$(BIN)/python -m pip --python build/sbom install --quiet --no-compile --no-deps --require-hashes \
		--requirement requirements/image.txt
	sed 's/^dynamic = .*/version = "'$$($(BIN)/exit-exporter --version | sed 's/.* //')'"/' pyproject.toml > build/sbom.toml
	$(BIN)/cyclonedx-py environment --pyproject build/sbom.toml --mc-type application --output-reproducible \
		--output-file build/sbom.json build/sbom/bin/python

# Fails too where no service answers, or knows these packages.
audit: $(STAMP)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements/image.txt

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

# Where it is set, each worker, and each daemon that a test starts, would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

# Four more than processors: the tests on real engines mostly wait, for these or for the kernel's counter.
WORKERS     ?= $(shell echo $$(($$(nproc) + 4)))
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
