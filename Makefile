# Every target stands on its own: a fresh machine needs Python 3.11 or newer, cargo and make, and nothing else.
# The tools live in .venv; the compiled module is rebuilt when a Rust source changed.

PYTHON ?= python3
CARGO ?= cargo
VENV := .venv
BIN := $(VENV)/bin
# Continuous integration builds exactly what Cargo.lock names; a developer may be changing it.
LOCKED := $(if $(CI),--locked)
RUST_SOURCES := Cargo.toml $(wildcard Cargo.lock) $(shell find rust -name target -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print)
# Platforms of `make wheels`; all without it.
PLATFORMS ?=
# Seconds for each fuzz target of `make fuzz`.
FUZZ_SECONDS ?= 60

# maturin, clippy and cargo test must build PyO3 for one interpreter, or each would undo the others' work.
export PYO3_PYTHON := $(abspath $(BIN)/python)
export VIRTUAL_ENV := $(abspath $(VENV))
unexport PYTHONPATH

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check fmt format lint types deny test-rust test-python torture torture-night torture-core bench \
  bench-smoke bench-check fuzz wheels clean

help: ## says what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/native.stamp ## plays one receivable from confirmation to loan, and proves it
	$(BIN)/finchain demo

test: test-rust test-python ## runs the tests of Rust, then those of Python

check: $(VENV)/quantlib.stamp fmt lint types deny test ## all that a change must pass: format, lint, types, licences, tests, short mutation runs

fmt: $(VENV)/dev.stamp ## checks the format of Rust and Python; `make format` mends it
	$(CARGO) fmt --all --check
	$(BIN)/ruff format --check .

format: $(VENV)/dev.stamp ## formats Rust and Python in place
	$(CARGO) fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/dev.stamp ## clippy with warnings denied, and ruff
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
	$(BIN)/ruff check .

types: $(VENV)/native.stamp ## mypy --strict, and the stub of the compiled module against the module itself
	$(BIN)/mypy
	MYPYPATH=python $(BIN)/stubtest --concise finchain._core

deny: ## licences and sources of the Rust dependencies, where cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny check bans licenses sources; \
	else echo "cargo-deny: skipped, it is not installed (cargo install cargo-deny)"; fi

test-rust: $(VENV)/dev.stamp ## the Rust tests; the binding crate only converts and is tested from Python
	$(CARGO) test $(LOCKED) --workspace --exclude finchain-py

test-python: $(VENV)/native.stamp ## the Python tests
	$(BIN)/python -m pytest

bench: $(VENV)/native.stamp $(VENV)/bench.stamp ## measures the core, this commit with asv, and finchain beside its peers
	$(CARGO) bench $(LOCKED) -p finchain-core --bench suite
	$(BIN)/asv machine --yes
	$(BIN)/asv run --show-stderr 'HEAD^!'
	$(BIN)/python -m benches.peers.run

bench-smoke: $(VENV)/native.stamp $(VENV)/bench.stamp ## runs every benchmark once, small, to see that it works
	$(CARGO) test $(LOCKED) -p finchain-core --benches
	$(BIN)/asv machine --yes
	FINCHAIN_BENCH_ROWS=64 $(BIN)/asv run --quick --dry-run --show-stderr --python=same

bench-check: $(VENV)/dev.stamp ## counts the instructions of the core's hot paths and compares them with the last figures
	$(CARGO) bench $(LOCKED) -p finchain-core --bench counted

fuzz: $(VENV)/native.stamp ## long random runs: Hypothesis nightly, many proptest cases, and cargo-fuzz where installed
	PROPTEST_CASES=20000 $(CARGO) test --release --workspace --exclude finchain-py
	FINCHAIN_PROFILE=nightly $(BIN)/python -m pytest
	@if [ -d rust/fuzz ] && $(CARGO) fuzz --version >/dev/null 2>&1; then \
	  cd rust && for target in $$($(CARGO) +nightly fuzz list); do \
	    $(CARGO) +nightly fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done; \
	else echo "cargo-fuzz: skipped, no rust/fuzz here or it is not installed (cargo install cargo-fuzz)"; fi

# How much of each long test is run, of which `make test` runs a little. A variable of the environment wins.
torture: export FINCHAIN_SEEDS ?= 2000
torture: export FINCHAIN_CRASHES ?= 10000
torture: export FINCHAIN_BIT_STEP ?= 1
torture: export FINCHAIN_SPOILT_STEP ?= 53
torture: export FINCHAIN_FAULT_ROUNDS ?= 2
torture: export FINCHAIN_MUTANTS ?= 300000
torture: export PROPTEST_CASES ?= 2000
torture: export FINCHAIN_KILLS ?= 200
torture: torture-core $(VENV)/native.stamp ## minutes of faults: power, disks, forged receipts, kills, overload, other Pythons, level memory
	$(BIN)/python -m pytest tests/test_kill.py tests/torture/*.py

torture-night: export FINCHAIN_SEEDS ?= 100000
torture-night: export FINCHAIN_CRASHES ?= 1000000
torture-night: export FINCHAIN_BIT_STEP ?= 1
torture-night: export FINCHAIN_SPOILT_STEP ?= 1
torture-night: export FINCHAIN_FAULT_ROUNDS ?= 50
torture-night: export FINCHAIN_MUTANTS ?= 10000000
torture-night: export PROPTEST_CASES ?= 200000
torture-night: export FINCHAIN_KILLS ?= 10000
torture-night: export FINCHAIN_SOAK_SECONDS ?= 7200
torture-night: export FINCHAIN_TORTURE_ROWS ?= 1000000
torture-night: export FINCHAIN_OVERLOAD_PART ?= 1
torture-night: TORTURE_PROFILE := --release
torture-night: torture-core $(VENV)/native.stamp ## hours of the same
	$(BIN)/python -m pytest -o timeout=0 tests/test_kill.py tests/torture/*.py

torture-core: $(VENV)/dev.stamp
	$(CARGO) test $(LOCKED) $(TORTURE_PROFILE) -p finchain-core --test log_torture --test ledger_faults \
	  --test ledger_files --test ledger_changes --test copy_faults --test ledger_seeds --test receipt_mutants \
	  --test merkle --test state_map
	$(CARGO) test $(LOCKED) $(TORTURE_PROFILE) -p finchain-index --test index_spoilt

wheels: $(VENV)/wheels.stamp ## builds the source distribution and the wheels of a release into dist/, and checks what is in them
	$(BIN)/python -m release.wheels $(PLATFORMS)

clean: ## removes what was built: .venv, target, caches
	rm -rf $(VENV) target .asv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find python -name '_core*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Dependency groups are known to pip from 25.1 on, and a fresh environment may bring an older one.
$(VENV)/dev.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "finchain needs Python 3.11 or newer")'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet --group bench
	@touch $@

$(VENV)/wheels.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet --group wheels
	@touch $@

$(VENV)/quantlib.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet --group quantlib
	@touch $@

$(VENV)/native.stamp: $(VENV)/dev.stamp $(RUST_SOURCES)
	$(BIN)/maturin develop --release $(LOCKED)
	@touch $@
