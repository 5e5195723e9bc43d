#!/bin/sh
# leaks.sh PROGRAM SOURCE: what the leak-finding mode says of a program whose losses are known, in the words of the
# original; run over either library. What stale words on the stack keep is at most one of each.
set -u
program=$1 source=$2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
status=0

fail() {
    echo "$1"
    cat "$work/err"
    status=1
}

run() {
    "$program" "$@" 2>"$work/err" || fail "leaks $*: status $?"
}

# lines TEXT FROM TO: how many lines have it.
lines() {
    got=$(grep -c "$1" "$work/err")
    [ "$got" -ge "$2" ] && [ "$got" -le "$3" ] || fail "$got lines with '$1', not $2 to $3"
}

line_of() {
    grep -n "/\* $1 \*/" "$source" | cut -d: -f1
}

lost="leaks.c:$(line_of LOST), sz= 100, NORMAL)"
with="leaks.c:$(line_of 'LOST WITH IT'), sz= 24, PTRFREE)"

run here
lines 'Found [0-9]* leaked objects:' 1 2
lines "^0x[0-9a-f]* (.*$lost" 2 3
lines "^0x[0-9a-f]* (.*$with" 2 3
lines 'sz= 50' 0 0
sed '/end of main/,$d' "$work/err" | grep -q 'Found' || fail 'nothing is found before the end'

run exit
sed '/end of main/,$d' "$work/err" | grep -q 'Found' && fail 'found before anybody asked'
lines "$lost" 2 3

run plain
lines '^object at 0x[0-9a-f]* of appr. 3[0-9]* bytes (composite)' 1 1

run none
lines 'Found' 0 0

run threads
lines 'Found' 0 0

run environment
lines 'Found' 0 0
GC_FIND_LEAK=1 run environment
lines "$lost" 2 3

run many
lines 'leaked objects' 1 30
GC_ABORT_ON_LEAK=1 "$program" here 2>"$work/err"
[ $? = 134 ] || fail 'GC_ABORT_ON_LEAK does not abort'
lines 'Leaked or smashed objects encountered' 1 1
exit $status
