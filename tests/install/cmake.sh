#!/bin/sh
# cmake.sh BUILD CONSUMER CC: find_package(freehold) in a project of its own, shared and static; and the
# installed command, if it was built, says its version from its new place.
. "$(dirname "$0")/tree.sh"
installed "$1"
cmake -S "$2" -B "$root/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$3" >/dev/null
cmake --build "$root/build" >/dev/null
consumes "$root/build/consumer_shared"
consumes "$root/build/consumer_static"
consumes "$root/build/consumer_zone"
consumes "$root/build/consumer_zone_cxx"
if [ -x "$1/bin/freehold" ]; then "$prefix/bin/freehold" run --quiet -- true; fi
