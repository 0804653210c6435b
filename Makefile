# make demo and make test do all the set-up; what is there already is left alone.
# Others: build, bench, oracle, test-slow, lint, format, install (PREFIX=...), clean.

BUILD ?= build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
RUN ?= runs/emoji

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bitdiff
export BITDIFF_PYTHON ?= $(CACHE)/python-tests/bin/python
# Tests and programs that run beside each other must not each take all cores.
TEST := OMP_NUM_THREADS=1 ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

.PHONY: build demo test test-slow oracle bench lint format install setup setup-test everything clean
.DEFAULT_GOAL := build
.NOTPARALLEL:

build: setup $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) bitdiff_program

# Trains where there is no finished run yet (an interrupted one goes on), then draws samples.
# `make demo RUN=runs/another` trains again.
demo: build
	$(BUILD)/bitdiff train configs/emoji.toml --out $(RUN) $(if $(wildcard $(RUN)/checkpoints/*),--resume)
	$(BUILD)/bitdiff sample $(RUN) --num 64 --out $(RUN)/samples.png
	@echo "The samples: $(RUN)/samples.png"

test: setup-test everything
	@$(TEST) -LE slow

test-slow: setup-test everything
	@$(TEST) -L slow

# The tests with PyTorch beside them, where it is a second opinion (2.7 GB to fetch).
oracle bench: export BITDIFF_TORCH_PYTHON ?= $(CACHE)/python-torch/bin/python
oracle: everything
	@scripts/setup.sh oracle
	@$(TEST) -LE slow

bench: build
	@scripts/setup.sh oracle
	@ninja -C $(BUILD) -j $(JOBS) bench_unet bench_captions
	@python3 bench/compare.py $(BUILD) --md bench/results.md

lint: everything
	@scripts/setup.sh lint
	@scripts/lint.py all $(BUILD)

format:
	@scripts/setup.sh lint
	@git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs clang-format -i

# Of what is built: as root, set-up would look for everything in another home.
install:
	@test -x $(BUILD)/bitdiff || { echo "make install: expected $(BUILD)/bitdiff, found none; run make first" >&2; exit 1; }
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf $(BUILD)

setup:
	@scripts/setup.sh

# Before the build, which looks whether MPI is there.
setup-test:
	@scripts/setup.sh test

everything: $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS)

# After the first time Ninja itself sees to it that the build files are new.
$(BUILD)/build.ninja: | setup
	@cmake --preset release -B $(BUILD) >/dev/null
