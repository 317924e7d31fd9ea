# The whole of it: `make demo` runs a mesh, `make test` runs every test. CONTRIBUTING.md tells the rest.

JOBS ?= $(shell nproc)
RELEASE := build
DEBUG := build-debug
TSAN := build-tsan
FUZZ := build-fuzz

.PHONY: all setup build check test test-conformance demo bench format lint tsan fuzz debug clean

all: build

setup:
	@tools/setup

$(RELEASE)/build.ninja $(DEBUG)/build.ninja $(TSAN)/build.ninja: | setup

$(RELEASE)/build.ninja:
	cmake --preset release
$(DEBUG)/build.ninja:
	cmake --preset debug
$(TSAN)/build.ninja:
	cmake --preset tsan

# Leaves kuma-cp, kuma-dp and kumactl in build/bin/.
build: setup $(RELEASE)/build.ninja
	ninja -C $(RELEASE) -j $(JOBS)

# The inner loop: incremental build, unit tests, rooms.
check: build
	@tools/check_rooms.py
	ctest --test-dir $(RELEASE) -j $(JOBS) --output-on-failure -LE slow

test: build
	@tools/check_rooms.py
	ctest --test-dir $(RELEASE) -j $(JOBS) --output-on-failure
	@$(MAKE) --no-print-directory debug

# The recorded vectors of ../shared/conformance (KUMA_CONFORMANCE_DIR): passed and total per suite, and what failed.
test-conformance: setup $(RELEASE)/build.ninja
	ninja -C $(RELEASE) -j $(JOBS) kuma_conformance
	@$(RELEASE)/bin/kuma_conformance $(SUITES)

# Our own code again under AddressSanitizer and UndefinedBehaviorSanitizer.
debug: setup $(DEBUG)/build.ninja
	ninja -C $(DEBUG) -j $(JOBS)
	KUMA_SIM_SEEDS=5 ctest --test-dir $(DEBUG) -j $(JOBS) --output-on-failure -LE e2e

tsan: setup $(TSAN)/build.ninja
	ninja -C $(TSAN) -j $(JOBS)
	ctest --test-dir $(TSAN) -j $(JOBS) --output-on-failure -LE e2e

# Each target for FUZZ_SECONDS; TARGETS="model_json net_http2" chooses. What is found is saved in its corpus.
FUZZ_SECONDS ?= 60
fuzz: setup
	@tools/setup lint
	@[ -f $(FUZZ)/build.ninja ] || cmake --preset fuzz
	@JOBS=$(JOBS) tools/fuzz $(FUZZ) $(FUZZ_SECONDS) $(TARGETS)

demo: build
	@tests/e2e/demo

# What it costs, beside the budgets: docs/performance.md. Pieces and settings: make bench BENCH="table runs=1 idle=10".
bench: setup $(RELEASE)/build.ninja
	ninja -C $(RELEASE) -j $(JOBS) bench
	$(RELEASE)/bin/bench json=$(RELEASE)/bench.json $(BENCH)

# Their tools are installed when they are first asked for: tools/packages-lint.txt.
format:
	@tools/setup lint
	git ls-files '*.cc' '*.h' | xargs clang-format -i

lint: setup $(RELEASE)/build.ninja
	@tools/setup lint
	@tools/check_rooms.py
	@JOBS=$(JOBS) tools/lint $(RELEASE)

clean:
	rm -rf $(RELEASE) $(DEBUG) $(TSAN) $(FUZZ)
