# The commands of the repository; CMake does the work (CMakePresets.json names the builds).
#   make           set up if needed, build bin/freehold and the libraries in build/
#   make demo      a real program under Freehold, and what its memory did
#   make check     what CI runs: all builds, all tests
#   make bench     against the other allocators; QUICK=1, PEERS="name=path.so ..."
#   make bench-gc  against other collectors; QUICK=1, BOEHM_NEW= MPS= WHIPPET= folders
#   make bench-libgc  Debian's programs on libgc, over the original and over ours
#   make bench-hardened  the attack corpus over every allocator found; QUICK=1, PEERS="name=path.so ..."
#   make soak      the long tests, and the collector for SOAK_SECONDS;  make fuzz  FUZZ_SECONDS each
#   make install   DESTDIR and PREFIX as usual;  make format;  make clean

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 300
SOAK_SECONDS ?= 3600

.PHONY: all demo check bench bench-gc bench-libgc bench-hardened soak fuzz install format clean
.NOTPARALLEL:

all:
	@scripts/setup build
	@test -f build/build.ninja || cmake --preset release
	@cmake --build --preset release --target product

demo: all
	@examples/demo/run

check:
	@scripts/setup check
	@scripts/check

bench: all
	@scripts/setup bench
	@cmake --build --preset release --target bench
	@QUICK='$(QUICK)' PEERS='$(PEERS)' bench/malloc/run

bench-gc: all
	@scripts/setup bench
	@QUICK='$(QUICK)' $(foreach peer,BOEHM_NEW MPS WHIPPET,$(if $(filter-out undefined,$(origin $(peer))),$(peer)='$($(peer))')) bench/gc/run

bench-libgc: all
	@scripts/setup check
	@bench/libgc/run

bench-hardened: all
	@scripts/setup bench
	@QUICK='$(QUICK)' PEERS='$(PEERS)' bench/hardened/run

soak: all
	@tests/style/tidy.sh whole
	@cmake --build --preset release
	@cd build && ctest -L soak --output-on-failure --no-tests=error
	@tests/gc/soak.sh build $(SOAK_SECONDS)

fuzz:
	@scripts/setup check
	@cmake --preset fuzz
	@cmake --build --preset fuzz
	@set -e; for fuzzer in build/fuzz/tests/fuzz/*_fuzz; do $$fuzzer -max_total_time=$(FUZZ_SECONDS); done

install: all
	@DESTDIR='$(DESTDIR)' cmake --install build --prefix '$(PREFIX)'
	@scripts/tell-loader '$(DESTDIR)' '$(PREFIX)'

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' '*.cc' | xargs -r clang-format -i

clean:
	rm -rf build
