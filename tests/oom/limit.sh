#!/bin/sh
# Option limit, with the black box: without any control group. What could break: a limit that is passed; NULL before the
# report is there; a report a second; two processes in one report; a descriptor that the program sees.
. "$(dirname "$0")/lib.sh"

for size in 256 5000 40000 3000000; do
    rm -f "$box"
    with "limit=64M,oom=$box" "$GROW" $size 100
    [ $got -eq 0 ] || fail "status $got with blocks of $size"
    says out 'NULL after'
    [ ! -s err ] || fail 'something on stderr'
    [ "$(reports)" = 1 ] || fail "$(reports) reports"
    says "$box" 'why         option limit comes near: '
    says "$box" ': trimmed'
    adds_up
done
with "limit=64M,oom=$box" "$GROW" 256 100
# The class that grows is the first; large blocks are named as such.
rm -f "$box"
with "limit=64M,oom=$box" "$GROW" 5000 100
[ "$(first_group 1)" = 5120 ] || fail "the first is $(first_group 1)"
rm -f "$box"
with "limit=64M,oom=$box" "$GROW" 3000000 100
[ "$(first_group 1)" = large ] || fail "the first is $(first_group 1)"

# One large request is refused while next to nothing is held: that is the reason, and not that the limit is near.
rm -f "$box"
with "limit=20M,oom=$box" "$GROW" 1073741824 1024
says out 'NULL after 0 MiB'
grep -qE 'why         option limit refused a request of 1\.0 GiB: .* of 20\.0 MiB were in use' "$box" ||
    fail 'the refusal is not the reason'

# A second crossing within ten seconds is not told, another process's is; and it says whose it is.
rm -f "$box"
with "limit=64M,oom=$box" "$GROW" twice 256 100
[ "$(reports)" = 1 ] || fail "$(reports) reports of one process"
with "limit=64M,oom=$box" "$GROW" fork 256 100
child=$(awk '/was the child/ { print $1 }' out)
says "$box" "process $child (oom_grow), report 1, "
[ "$(reports)" = 2 ] || fail "$(reports) reports of two processes"

# One that is far from its limit leaves an empty file, for its owner alone.
rm -f "$box"
with "limit=64M,oom=$box" "$GROW" 256 10
says out grown
[ -f "$box" ] && [ ! -s "$box" ] || fail 'the file is not there, or not empty'
[ "$(stat -c %a "$box")" = 600 ] || fail 'others may read it'

# The program sees no descriptor of ours.
with "limit=64M,oom=$box" "$GROW" files
cp out with
"$GROW" files >without
cmp -s with without || fail 'descriptors are seen'

# Without a limit nothing is refused.
with "oom=$box" "$GROW" 256 100
says out grown
grep -q NULL out && fail 'refused without a limit'
exit 0
