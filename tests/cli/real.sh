#!/bin/sh
# freehold run with the library beside it, on real programs: they do what they do without us, the
# library takes effect, and which agrees.
. "$(dirname "$0")/lib.sh"

# same COMMAND...: its output is the same, and the summary says that its allocations were ours.
same() {
    "$@" >plain 2>/dev/null
    try 0 "$FREEHOLD" run --json run.json -- "$@"
    cmp -s plain out || fail "other output: $*"
    grep -qE '^freehold: [a-z0-9.]+: .*peak [0-9.]+ [KM]?i?B of memory' err || fail "no verdict: $*"
}

same sh -c 'seq 1000 | sort -r | md5sum'
same sed -n '$=' /etc/passwd
command -v python3 >/dev/null && same python3 -c 'print(sorted({str(i): i for i in range(20000)})[-1])'
command -v perl >/dev/null && same perl -e 'my %h; $h{$_} = "x" x $_ for 1..2000; print length(join "", values %h), "\n"'
command -v sqlite3 >/dev/null && same sqlite3 :memory: 'with recursive c(x) as (select 1 union all select x+1 from c where x<20000) select sum(length(hex(x))) from c;'

try 0 "$FREEHOLD" run -- true # may not allocate at all
head -n 1 err | grep -q '^freehold: true: ' || fail 'no verdict on a program without allocations'

# A driver that leaves the work to a child: the verdict is about the child.
if command -v cc >/dev/null; then
    awk 'BEGIN { for (i = 0; i < 400; i++) print "int f" i "(int x) { return x * " i "; }" }' >large.c
    try 0 "$FREEHOLD" run -- cc -c -O1 large.c -o large.o
    head -n 1 err | grep -q 'mostly its child' || fail 'the verdict is about the driver'
fi

try 0 "$PARTS/hold" "$FREEHOLD" run -q "$PARTS/still" -- sh -c '
    child=$(cat /proc/$1/task/$1/children) && exec "$2" which $child' sh @ "$FREEHOLD"
says out 'allocates with Freehold'
says out '1 live'
finish
