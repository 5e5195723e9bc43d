#!/bin/sh
# symbols.sh LIBRARY TREE: what the library exports, against three lists: what packages import (imports.txt), what
# Debian's libgc1 exports, names and sizes of data, and what docs/libgc.md says is left out. Says what differs.
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
exit $status
