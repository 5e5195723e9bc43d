#!/bin/sh
# clang-tidy with our .clang-tidy over the sources of the library and the command, two at a time.
set -eu
files=$(git ls-files 'src/*.c' 'cli/*.c' | grep -v '^src/one\.c$')
[ -n "$files" ] || { echo 'no sources found'; exit 1; }
echo "$files" | xargs -P 2 -n 4 clang-tidy --quiet -p build/asan
