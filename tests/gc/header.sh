#!/bin/sh
# What the header's macros expand to draws no warning where a program uses them, by either compiler.
set -eu
include=$1
source=$2
for compiler in gcc clang; do
    command -v $compiler >/dev/null || continue
    for std in gnu17 c17 c11; do
        echo "$compiler -std=$std"
        $compiler -std=$std -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$include" "$source"
    done
done
