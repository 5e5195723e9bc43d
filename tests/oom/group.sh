#!/bin/sh
# In a control group of its own, inside the one that the test is in: a process that the kernel kills there has said why.
# What could break: the report comes too late, in parts, or not at all; the class that grows is not the first in it;
# memory that was free is not given back, so that a process is killed which could live.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/make_group.sh"
LIMIT=67108864

# in_group OPTIONS COMMAND...: as `with`, in the group.
in_group() {
    options=$1
    shift
    rm -f before
    calm sh -c 'echo $$ >"$1/cgroup.procs"; shift; LD_PRELOAD=$FREEHOLD_SO FREEHOLD_OPTIONS=$1; shift
        export LD_PRELOAD FREEHOLD_OPTIONS; exec "$@"' sh "$group" "$options" "$@"
}

group_limit $LIMIT
for size in 256 5000 40000 300000; do
    rm -f "$box"
    in_group "oom=$box" "$GROW" $size 200
    [ $got -eq 137 ] || fail "status $got: not killed with blocks of $size"
    [ "$(reports)" = 1 ] || fail "$(reports) reports with blocks of $size"
    says "$box" "limit comes near: "
    says "$box" "of 64.0 MiB, $group"
    adds_up
    case $size in 256) want=256 ;; 5000) want=5120 ;; 40000) want=40960 ;; *) want=large ;; esac
    [ "$(first_group 1)" = $want ] || fail "the first group is $(first_group 1), not $want"
done

# Free memory kept for reuse is what the trim is for. Without the black box the process is killed.
in_group 'purge=0' "$GROW" spike 44
[ $got -eq 137 ] || fail "status $got: it lives without the trim, which then proves nothing"
rm -f "$box"
in_group "purge=0,oom=$box" "$GROW" spike 44
[ $got -eq 0 ] || fail "status $got: killed although it held free memory"
says out alive
says "$box" ': trimmed'
given=$(awk '/given back/ { print $3; exit }' "$box")
[ "$given" -gt 20000000 ] || fail "only $given bytes were given back"

# Where the kernel does not kill, the process stands in the fault that was one too many, until the trim.
if group_stands; then
    rm -f "$box"
    in_group "purge=0,oom=$box" timeout 60 "$GROW" spike 44
    [ $got -eq 0 ] || fail "status $got: it stands for good"
    says out alive
fi
exit 0
