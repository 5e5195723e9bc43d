#!/bin/sh
# clang-tidy with our .clang-tidy over the sources of the library and the command, two at a time. One
# process for each source, and no compile_commands.json, which has the command's sources twice: from the
# second source of a process on, clang-tidy 14 takes every va_list for uninitialized.
#   tidy.sh          the static analyzer, which takes fifty times as long as the rest, only over the floors of
#                    the library that the last five commits have changed
#   tidy.sh whole    all of it
set -eu

# tidy_as CHECKS FLAG: the sources of standard input
tidy_as() {
    xargs -r -P 2 -I '{}' clang-tidy --quiet "--checks=$1" '{}' -- "$2" \
        -std=gnu17 -Wall -Wextra -Isrc -Iinclude -D_GNU_SOURCE= -DFH_DEBUG=1 -DFH_CHECKED=1 -DFH_CXX_OPERATORS=1
}

# tidy CHECKS: the sources of standard input; those of the hardened library are compiled for it alone
tidy() {
    sources=$(grep -v '^src/one\.c$' || true)
    hardened=$(echo "$sources" | grep -E '^src/(hard|face/hardened)/' || true)
    { echo "$sources" | grep -vE "^src/(hard|face/hardened)/|^\$" || true; } | tidy_as "$1" -UFH_HARDENED
    if [ "$hardened" ]; then echo "$hardened" | tidy_as "$1" -DFH_HARDENED=1; fi
}

[ -n "$(git ls-files 'src/*.c')" ] || { echo "no sources found: src/*.c"; exit 1; }
floors=src
if [ "${1:-}" = whole ]; then
    git ls-files 'src/*.c' 'cli/*.c' | tidy ''
    exit
fi
# A clone without so much history, or something of which git does not tell what changed: all floors.
if before=$(git rev-parse -q --verify 'HEAD~5'); then
    floors=$(git diff --name-only "$before" -- src include | sed -n 's,^\(src/[a-z]*\)/.*,\1,p' | sort -u)
fi
git ls-files 'src/*.c' 'cli/*.c' | tidy '-clang-analyzer-*'
for floor in $floors; do
    git ls-files "$floor/*.c" | tidy ''
done
