# The few words to remember. `make` alone lists them.
#
# Nothing has to be installed beforehand but python3 (3.10 or newer) and make: uv comes into .tools/, everything else
# into .venv/, each from the package registry by its hash. Paths are relative throughout, so that the checkout may lie
# under any name.

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

UV := UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_CACHE_DIR=.tools/cache .tools/uv/bin/uv
PYTHON := .venv/bin/python
# The bytes of what we build depend on nothing but the sources: the clock is set to the start of 2020.
export SOURCE_DATE_EPOCH := 1577836800

# What `make bench` measures: what needs a GPU too, where there is one and we may ask it.
BENCH = $(shell test -e /proc/driver/nvidia/version && test "$$(id -u)" = 0 && echo gpu || echo local)

say = @printf 'firstlight: %s\n' '$(1)' >&2

# An environment whose interpreter has gone is no environment.
$(shell test ! -e .venv/ready || $(PYTHON) -c '' 2>/dev/null || rm -f .venv/ready)

##@ For everybody

.PHONY: help
help: ## list these words
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: try
try: .venv/ready programs ## see a sick machine diagnosed, cured, proven, an app started, and the timeline of it
	@sh tools/try.sh

.PHONY: test
test: .venv/ready programs wanted ## run the test suite (PYTEST="-k name" narrows it)
	$(call say,running the tests)
	@$(PYTHON) -m pytest $(PYTEST)

.PHONY: speech
speech: .venv/ready programs wanted ## test `accept` with a real ComfyUI, real voices and VibeVoice's own code (FULL=1: with all models that listen)
	@sh tools/bring_programs.sh --wanted espeak-ng flite
	$(if $(FULL),@sh tools/bring_speech.sh full)
	@$(PYTHON) -m pytest -m speech $(PYTEST)

##@ For whoever changes something

.PHONY: check
check: lint types layers versions current test ## everything that must hold before a change is merged
	$(call say,all checks passed)

.PHONY: format
format: .venv/ready ## put the sources in form
	@$(PYTHON) -m ruff format --quiet .
	@$(PYTHON) -m ruff check --quiet --fix-only .

.PHONY: docs
docs: .venv/ready programs ## make the pages that are generated
	$(call say,generating docs)
	@$(PYTHON) tools/generate.py

.PHONY: bench
bench: .venv/ready programs build beside ## measure, what needs a GPU too where there is one; the docs take their figures from it
	@$(PYTHON) bench/run.py $(BENCH) --firstlight "python3 -I -S dist/firstlight.pyz"
	@$(PYTHON) bench/run.py fleet --firstlight "python3 -I -S dist/firstlight.pyz" --rounds 3

.PHONY: soak
soak: .venv/ready programs ## `make speech` with all models, then a hard hour as root (SOAK=10m is shorter); the docs take their page from it
	@$(MAKE) speech FULL=1
	@$(PYTHON) tests/soak/soak.py --time $(or $(SOAK),1h)

.PHONY: build
build: .venv/ready ## build the wheel and the one file into dist/
	@$(PYTHON) -m hatchling build -t wheel
	@$(PYTHON) tools/build_onefile.py

.PHONY: lock
lock: .tools/uv/ready ## resolve the requirements anew (UPGRADE=1 takes the newest versions)
	@for name in uv runtime dev bench comfyui-app comfyui speech vibevoice vibevoice-mixed vibevoice-newest; do \
	    printf 'firstlight: locking requirements/%s.txt\n' "$$name" >&2; \
	    case $$name in comfyui-app | vibevoice | vibevoice-mixed) more=--no-deps;; comfyui | vibevoice-newest) more="--excludes $$name.excludes";; *) more=;; esac; \
	    (cd requirements && UV_CACHE_DIR=../.tools/cache ../.tools/uv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.10 \
	        --fork-strategy fewest --no-header --no-annotate --no-emit-index-url --no-emit-find-links $$more $(if $(UPGRADE),--upgrade) \
	        "$$name.in" --output-file "$$name.txt") || exit 1; \
	done

.PHONY: clean
clean: ## remove what was built and brought
	@rm -rf .tools .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The parts of `check`.

.PHONY: lint types layers versions current programs wanted beside

lint: .venv/ready
	$(call say,ruff and shellcheck)
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --quiet --check .
	@.venv/bin/shellcheck -x testing/cloud/image/*.sh tools/*.sh bench/*.sh .ci/run src/firstlight/install/files/*.sh src/firstlight/install/files/firstlight

types: .venv/ready
	$(call say,mypy for Python 3.10 to 3.13)
	@printf '%s\n' 3.10 3.11 3.12 3.13 | xargs -P 2 -I VERSION $(PYTHON) -m mypy --no-error-summary --python-version VERSION

layers: .venv/ready
	$(call say,import-linter)
	@.venv/bin/lint-imports --no-logo >.tools/layers.log 2>&1 || { cat .tools/layers.log; exit 1; }

versions: .venv/ready
	$(call say,vermin)
	@.venv/bin/vermin --quiet --no-tips --violations --target=3.8- src/firstlight/programs src/firstlight/install/files/check_cuda.py
	@# Both excluded modules stand behind a look at the version, which mypy follows.
	@.venv/bin/vermin --quiet --no-tips --violations --target=3.10- --exclude tomllib --exclude importlib.resources.abc src/firstlight

current: .venv/ready
	$(call say,generated pages are current)
	@$(PYTHON) tools/generate.py --check

programs:
	@sh tools/bring_programs.sh cc strace

# What some tests drive; without one of these they are skipped, and say so.
wanted:
	@sh tools/bring_programs.sh --wanted busybox chromium promtool tini dumb-init

# What we are measured beside. Where one cannot be had, its figures say so.
beside: .tools/uv/ready
	@sh tools/bring_programs.sh --wanted tini dumb-init s6-svscan
	-@test -x .tools/supervisor/bin/supervisord || { $(UV) venv --quiet --clear --python python3 .tools/supervisor && \
	    $(UV) pip sync --quiet --python .tools/supervisor/bin/python --require-hashes requirements/bench.txt; }

# What is brought. Each stamp says: this is there, and made from these files.

.tools/uv/ready: requirements/uv.txt tools/bring_uv.sh
	@sh tools/bring_uv.sh
	@touch $@

.venv/ready: .tools/uv/ready requirements/dev.txt pyproject.toml
	$(call say,setting up .venv)
	@test -x $(PYTHON) || $(UV) venv --quiet --clear --python python3 .venv
	@$(UV) pip sync --quiet --python $(PYTHON) --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	@touch $@
