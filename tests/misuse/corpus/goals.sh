#!/bin/sh
# goals.sh RUNNER CORPUS NAIVE: each goal of the corpus is reached under the naive allocator, under glibc,
# or (two of them: memory of large blocks given to small ones) under Debian's mimalloc.
set -eu
for mimalloc in /usr/lib/*/libmimalloc.so.2.0; do
    [ -f "$mimalloc" ] || { echo 'needs libmimalloc2.0'; exit 77; }
done

# reached RUNS CASES
reached() {
    "$runner" "$corpus" --runs "$1" --cases "$2" --reached --under glibc --under "naive=$naive" --under "mimalloc=$mimalloc"
}

runner=$1 corpus=$2 naive=$3
said=$(reached 1 '^[^L]') && { echo "$said"; exit 0; }
# Again, and more often, those that depend on luck.
left=$(echo "$said" | sed -n 's/^\([A-Z][0-9]*\): its goal is reached under none.*/\1/p' | paste -sd '|')
echo "once more: $left"
reached 20 "^($left)$"
