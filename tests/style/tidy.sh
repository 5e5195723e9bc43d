#!/bin/sh
# clang-tidy with our .clang-tidy over the sources of the library and the command, two at a time. One
# process for each source, and no compile_commands.json, which has the command's sources twice: from the
# second source of a process on, clang-tidy 14 takes every va_list for uninitialized.
#   tidy.sh          the command without the static analyzer, which takes four minutes of two processors for it
#   tidy.sh whole    all of it
set -eu

# tidy PATTERN CHECKS
tidy() {
    files=$(git ls-files "$1" | grep -v '^src/one\.c$')
    [ -n "$files" ] || { echo "no sources found: $1"; exit 1; }
    echo "$files" | xargs -P 2 -I '{}' clang-tidy --quiet "--checks=$2" '{}' -- \
        -std=gnu17 -Wall -Wextra -Isrc -Iinclude -D_GNU_SOURCE= -DFH_DEBUG=1 -DFH_CHECKED=1 -DFH_CXX_OPERATORS=1
}

tidy 'src/*.c' ''
case ${1:-} in
whole) tidy 'cli/*.c' '' ;;
*) tidy 'cli/*.c' '-clang-analyzer-*' ;;
esac
