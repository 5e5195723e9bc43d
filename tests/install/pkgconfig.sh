#!/bin/sh
# pkgconfig.sh BUILD CONSUMER CC: the installed tree serves a compiler and pkg-config, shared and static.
. "$(dirname "$0")/tree.sh"
installed "$1"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

flags=$(pkg-config --cflags freehold)
shared=$(pkg-config --libs freehold)
libraries_static=$(pkg-config --static --libs-only-other freehold)
# shellcheck disable=SC2086 # lists of options
"$3" $flags "$2/consumer.c" -o "$root/shared" $shared
# shellcheck disable=SC2086
"$3" $flags "$2/consumer.c" -o "$root/static" "$(pkg-config --variable=libdir freehold)/libfreehold.a" $libraries_static
consumes "$root/shared"
consumes "$root/static"

# zone.h is the hardened library's alone: with the other one a program that uses it does not link, and is told what it lacks.
# shellcheck disable=SC2086
"$3" $flags "$2/zone.c" -o "$root/zone" "-L$(pkg-config --variable=libdir freehold)" -lfreehold-hardened
consumes "$root/zone"
# shellcheck disable=SC2086
if "$3" $flags "$2/zone.c" -o "$root/zone_fast" $shared 2>"$root/said"; then echo 'zone.h without its library'; exit 1; fi
grep -q "undefined reference to .fh_zone_create" "$root/said" || { cat "$root/said"; exit 1; }

# The headers stand alone, in C11 as in C++.
for header in "$prefix"/include/freehold/*.h; do
    # shellcheck disable=SC2086
    echo "#include <freehold/${header##*/}>" | "$3" $flags -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c -
    # shellcheck disable=SC2086
    echo "#include <freehold/${header##*/}>" | "$3" $flags -Wall -Wextra -Werror -fsyntax-only -x c++ -
done
