#!/bin/sh
# files.sh BUILD: what an installation brings lies where compilers, loaders, man and the shells look,
# and nothing else is brought.
. "$(dirname "$0")/tree.sh"
installed "$1"
cd "$prefix"
cat >"$root/expected" <<'LIST'
bin/freehold
include/freehold/freehold.h
include/freehold/gc.h
include/freehold/gc_fast.h
include/freehold/hardened.h
include/freehold/plug.h
include/freehold/registry.h
include/freehold/zone.h
lib/cmake/freehold/freehold-config-version.cmake
lib/cmake/freehold/freehold-config.cmake
lib/cmake/freehold/freehold-targets.cmake
lib/freehold/gc/libgc.so.1
lib/freehold/gc/libgccpp.so.1
lib/freehold/gc/libgctba.so.1
lib/libfreehold-hardened-calls.so
lib/libfreehold-hardened-calls.so.1
lib/libfreehold-hardened.so
lib/libfreehold-hardened.so.1
lib/libfreehold.a
lib/libfreehold.so
lib/libfreehold.so.1
lib/pkgconfig/freehold.pc
share/bash-completion/completions/freehold
share/fish/vendor_completions.d/freehold.fish
share/man/man1/freehold.1
share/man/man7/libfreehold.7
share/zsh/site-functions/_freehold
LIST
# CMake names this one after the type of the build.
find . ! -type d ! -name 'freehold-targets-*.cmake' | sed 's,^\./,,' | LC_ALL=C sort >"$root/found"
diff "$root/expected" "$root/found"
[ -L lib/libfreehold.so ] || { echo 'lib/libfreehold.so is not a link'; exit 1; }
[ -x bin/freehold ] || { echo 'bin/freehold cannot be run'; exit 1; }
