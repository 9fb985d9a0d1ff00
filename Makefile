# The two to know: `make demo` and `make test`. Each does all the set-up that it needs.
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' harness/__init__.py)
READY := $(VENV)/.ready-$(VERSION)
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow coverage check docs engines bench format links venv clean

help:
	@echo "make demo    watch the bugs of two saga implementations being found, and none in the reference"
	@echo "make test    the tests, in parallel (test-slow: those that take many seconds)"
	@echo "make check   ruff, mypy, import-linter        make format   let ruff repair what it can"
	@echo "make docs    the documentation's site, in build/docs"
	@echo "make engines   each real engine under every fault, and the tables of docs/engines.md and docs/engine-matrix.md"
	@echo "make bench   the short benchmarks: figures and a page, in build/bench"
	@echo "make coverage   how much of each folder some of the quick tests run, with a floor for each"
	@echo "make links   the tree of links after a module was added (the others do it by themselves)"
	@echo "make clean   remove everything that was made"

demo: links
	@echo "Every plan of at most two faults on the checkout saga: a naive orchestrator, a published one, a correct one."
	$(BIN)/sagafuzz compare seed simple-saga reference --faults 2 --report-dir demo-report --expect violated,violated,consistent
	@echo
	@echo "And on real processes, killed with kill -9: a naive worker and a correct one."
	$(BIN)/sagafuzz compare examples/live/python/naive.toml examples/live/python/correct.toml --faults 1 --scenario succeeds \
		--kinds crash-after-effect,crash-after-ack,lost-ack,duplicate --report-dir demo-report/live --expect violated,consistent

test: links
	$(BIN)/pytest -n 2 -m "not slow and not browser" $(ARGS)
	$(BIN)/pytest tests/browser -m "not slow" $(ARGS) || [ $$? -eq 5 ]  # apart: playwright's loop runs on in its process

test-slow: links
	$(BIN)/pytest -n 2 -m "slow and not browser" $(ARGS) || [ $$? -eq 5 ]  # 5: there is none
	$(BIN)/pytest tests/browser -m slow $(ARGS) || [ $$? -eq 5 ]

# Under coverage a search takes four times as long: so some of the tests, without those that search much. Whether they
# pass, `make test` says; here some that watch the clock may not.
SEARCHING := $(addprefix tests/,$(addprefix simulator/test_,celery.py frameworks.py idle.py kombu.py leaving.py prefix.py service.py \
	skipping.py sqs.py) $(addprefix reference/test_,killed.py stores.py streams.py) invariants/test_projection.py)
COVERED := $(filter-out $(SEARCHING),$(wildcard $(addsuffix /test_*.py,$(addprefix tests/,values invariants simulator reports reference)))) \
	$(addprefix tests/,quality/test_zoo.py $(addprefix cli/test_,explain.py bad_input.py config.py))

coverage: links
	$(BIN)/coverage erase
	$(BIN)/pytest -n 2 -q -m "not slow and not browser" --cov --cov-report= $(COVERED) || [ $$? -eq 1 ]
	$(BIN)/python tools/coverage_floors.py

check: links
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases tests
	$(BIN)/lint-imports --no-logo

docs: links
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

# The engines of docs/engines.md, by the real thing, and their tables. See tools/engines.sh for what is missing. What has a
# report in build/engines is not run again, so it goes on where it was left; ENGINES="temporal dtm@retries" runs some.
ifneq ($(filter engines,$(MAKECMDGOALS)),)
ENGINES ?= $(shell $$(tools/python.sh) tools/make_matrix.py --names)
endif
build/engines/%/report.json: | links
	@mkdir -p $(@D)
	$(BIN)/sagafuzz run $* --faults 1 --scenario succeeds --scenario declined --report-dir $(@D) $(ARGS) >$(@D)/log 2>&1 \
		|| case $$? in 1|3) ;; *) tail -3 $(@D)/log; rm -f $@; exit 1;; esac
	@tail -1 $(@D)/log

engines: $(ENGINES:%=build/engines/%/report.json)
	$(BIN)/python tools/make_engines.py $^
	$(BIN)/python tools/make_matrix.py $^

bench: links
	$(BIN)/python benchmarks/bench.py $(ARGS)

format: links
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

links: $(READY)
	@tools/links.sh

venv: $(READY)

$(READY): pyproject.toml constraints.txt tools/venv.sh tools/link_wheel.py
	tools/venv.sh $(VENV)
	@rm -f $(VENV)/.ready-*
	@touch $@

clean:
	rm -rf build dist .venv .venv-wheel demo-report sagafuzz-report .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis .coverage* *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
