#!/bin/sh
# symbols.sh LIBRARY TREE: what the library exports, against three lists: what packages import (imports.txt), what
# Debian's libgc1 exports, names and sizes of data, and what docs/libgc.md says is left out. The C++ libraries beside it
# export what Debian's do. Says what differs.
set -u
library=$1 tree=$2
docs=$tree/docs/libgc.md
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
status=0

complain() {
    echo "$1"
    status=1
}

exported() {
    nm -D --defined-only "$1" | awk '$3 ~ /^GC_/ { print $3 }' | sort
}

# Names after "- `" in a section of the docs.
listed() {
    sed -n "/^## $1/,/^## /p" "$docs" | sed -n 's/^- `\(GC_[a-zA-Z_0-9]*\)`.*/\1/p' | sort
}

exported "$library" >"$work/ours"
[ -s "$work/ours" ] || complain "$library exports nothing"

# The C++ symbol is of another library, which only needs these.
grep -v '^#' "$(dirname "$0")/imports.txt" | grep ' GC_' | while read -r package symbol; do
    grep -qx "$symbol" "$work/ours" || echo "$package needs $symbol"
done >"$work/needed"
[ -s "$work/needed" ] && complain "$(cat "$work/needed")"
[ "$(grep -c ' GC_' "$(dirname "$0")/imports.txt")" = 350 ] || complain 'imports.txt has another number of lines'

listed 'Not exported' >"$work/absent"

original=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/.*libgc\.so\.1 .*x86-64.* => //p' | head -n 1)
if [ -z "$original" ]; then
    [ $status = 0 ] || exit $status
    echo 'no libgc1 to compare with'
    exit 77
fi
exported "$original" >"$work/theirs"
comm -13 "$work/ours" "$work/theirs" >"$work/lacking"
cmp -s "$work/lacking" "$work/absent" || complain "not exported, against docs/libgc.md: $(comm -3 "$work/lacking" "$work/absent" | tr '\n' ' ')"
[ -z "$(comm -23 "$work/ours" "$work/theirs")" ] || complain "exported, but not by the original: $(comm -23 "$work/ours" "$work/theirs" | tr '\n' ' ')"

# A program that was linked without PIC has a copy of a variable, as large as it was.
sizes() {
    nm -D -S --defined-only "$1" | awk '$3 ~ /[BDRG]/ && $4 ~ /^GC_/ { print $4, $2 }' | sort
}
sizes "$library" >"$work/data_ours"
sizes "$original" | grep -vFf "$work/absent" >"$work/data_theirs"
cmp -s "$work/data_ours" "$work/data_theirs" || complain "data of other sizes: $(comm -3 "$work/data_ours" "$work/data_theirs" | tr '\n' ' ')"

# C++ names have no common beginning; inline functions of the standard library are weak.
all_exported() {
    nm -D --defined-only "$1" | awk '$2 == "T" { print $3 }' | grep -vE '^(_init|_fini|_end)$' | sort
}
for name in libgccpp libgctba; do
    theirs=$(dirname "$original")/$name.so.1 ours=$(dirname "$library")/$name.so.1
    [ -e "$theirs" ] && [ -e "$ours" ] || continue
    all_exported "$theirs" >"$work/theirs"
    all_exported "$ours" >"$work/ours"
    cmp -s "$work/theirs" "$work/ours" || complain "$name.so.1 exports others than the original's: $(comm -3 "$work/ours" "$work/theirs" | tr '\n' ' ')"
done

for each in "$(dirname "$library")"/libgc*.so.1; do
    nm -D --defined-only "$each" | awk '{ print $3 }'
done | sort -u >"$work/offered"

# Programs and libraries that are installed here and need one of the three must find in ours all that they take from
# there.
for package in $(grep -v '^#' "$(dirname "$0")/imports.txt" | cut -d' ' -f1 | sort -u); do
    dpkg-query -L "$package" "$package:amd64" 2>/dev/null
done | sort -u | while read -r file; do
    [ -f "$file" ] && [ ! -L "$file" ] && readelf -d "$file" 2>/dev/null | grep -qE 'NEEDED.*\[libgc(cpp|tba)?\.so\.1\]' || continue
    echo "$file" >>"$work/users"
    nm -D --undefined-only "$file" | awk '{ print $2 }' | grep -E '^GC_|GC_throw_bad_alloc' | sort -u >"$work/wants"
    comm -23 "$work/wants" "$work/offered" | sed "s|^|$file needs |"
done >"$work/needed"
[ -s "$work/needed" ] && complain "$(cat "$work/needed")"
echo "$(sort -u "$work/users" 2>/dev/null | wc -l) installed files use libgc.so.1"
exit $status
