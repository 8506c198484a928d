# Sinter. `make demo` shows the whole job; `make test` proves it. See HACKING.md.
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

.PHONY: all setup build install demo test bench sanitize tidy format clean

all: build

setup:
	@tools/setup.sh

# The program: release, portable binary, instruction set chosen at run time. Leaves $(BUILD)/sinter.
build: setup
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release -DSINTER_TESTS=OFF $(CMAKE_FLAGS) --log-level=WARNING
	@echo "Building $(BUILD)/sinter ..."
	@ninja -C $(BUILD) -j $(JOBS) sinter

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

demo: build
	@tools/demo.sh $(BUILD)/sinter

# Everything: unit, golden, law 1, fuzz, end to end, interop. Ends with "N passed, N failed".
test: setup
	@tools/setup.sh tests
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release -DSINTER_TESTS=ON $(CMAKE_FLAGS) --log-level=WARNING
	@echo "Building the program and its tests ..."
	@ninja -C $(BUILD) -j $(JOBS)
	@python3 tools/run_tests.py $(BUILD)

# Speed beside llama.cpp and ik_llama.cpp, where SINTER_PEER_LLAMA and SINTER_PEER_IK name the folders of
# their programs; writes the table in docs/performance.md.
bench: build
	@python3 bench/peers/peers.py --sinter $(BUILD)/sinter --work $(BUILD)/bench-peers --document docs/performance.md $(BENCH_FLAGS)

# The unit tests again under address+undefined and thread sanitizers (build-asan, build-tsan).
sanitize: setup
	@cmake -S . -B $(BUILD)-asan -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSINTER_SANITIZE=address,undefined --log-level=WARNING
	@ninja -C $(BUILD)-asan -j $(JOBS)
	@python3 tools/run_tests.py $(BUILD)-asan --unit-only
	@cmake -S . -B $(BUILD)-tsan -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSINTER_SANITIZE=thread --log-level=WARNING
	@ninja -C $(BUILD)-tsan -j $(JOBS)
	@python3 tools/run_tests.py $(BUILD)-tsan --unit-only

tidy: setup
	@tools/tidy.sh $(BUILD)

format:
	@git ls-files 'src/*.cc' 'src/*.h' 'tests/*.cc' | xargs clang-format -i

clean:
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan demo-out
