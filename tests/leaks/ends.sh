#!/bin/sh
# freehold run --leaks: what a program has lost when it ends, by whatever kind of end, and nothing else; that
# it ends as it would have; and that it is said why, where it cannot be looked into.
# shellcheck disable=SC2016 # what sh -c gets expands there
. "$(dirname "$0")/lib.sh"

# at_end STATUS PROGRAM ARGS: as many blocks as it says, and those that it keeps are kept.
at_end() {
    status=$1
    shift
    try "$status" "$FREEHOLD" run --leaks -q --json all.json -- "$@"
    holds all.json "j['leaks']['verdict'] is not None and j['leaks']['allocator'] == 'Freehold'"
    holds all.json "j['leaks']['pid'] == j['pid'] and j['leaks']['damaged'] == 0 == j['leaks']['unread_bytes']"
}
lost() { holds all.json "sum(j['leaks']['totals'][k]['count'] for k in ('lost', 'indirectly_lost')) == $1"; }
kept() { holds all.json "j['leaks']['totals']['reachable']['count'] >= $1"; }

for how in return exit thread fork closed exec; do
    at_end 0 "$PARTS/ends" $how 200 100 3
    lost 200
    kept 200
    holds all.json "j['leaks']['totals']['indirectly_lost']['count'] == 18"
    says err 'at the end of '
done
holds all.json "j['leaks']['threads'] >= 4"
at_end 3 "$PARTS/ends" status 1 0 0
lost 1
at_end 0 "$PARTS/ends" return 0 100 1
lost 0
silent err
at_end 0 "$PARTS/ends" late 200 100 1 # by handlers and destructors that run at the end
lost 0
for linked in ends_linked ends_static; do
    at_end 0 "$PARTS/$linked" return 200 100 3
    lost 200
    kept 200
done

# Children, by wish: each that ends by exit; the dead ones and those that outlive the program harm nobody.
children() { holds all.json "[c['lost_blocks'] for c in j['leaks_of_children']] == $1"; }
try 0 "$FREEHOLD" run --leaks-children -q --json all.json -- "$PARTS/ends" fork 200 100 3
lost 200
children '[600]'
holds all.json "[c['lost_before_fork_blocks'] for c in j['leaks_of_children']] == [200]"
says err 'of these, 200 blocks, 200.0 KiB, were lost before the fork'
try 9 "$FREEHOLD" run --leaks-children --leaks-exit-code 9 -q --json all.json -- \
    sh -c '"$1" return 20 100 2; "$1" quick 9 9 1; "$1" return 5 100 0; "$1" return 0 9 0; exit 0' sh "$PARTS/ends"
children '[20, 5, 0, 0]'
holds all.json "not any(c['lost_before_fork_blocks'] for c in j['leaks_of_children'])"
holds all.json "[c['why_not'] is None for c in j['leaks_of_children']] == [True, True, True, False]"
says err '20.0 KiB lost in 20 blocks'
says err 'sh was not searched for leaks: it ended without exit()'
# One that was not searched is not one that lost nothing.
missed() {
    try 125 "$FREEHOLD" run --leaks-children --leaks-exit-code 9 -q -- bash -c "$@"
    grep -qE "^freehold: [a-z0-9]+ \(pid [0-9]+\) was not searched for leaks: $words" err || fail "no '$words'"
    [ "$(wc -l <err)" -eq 1 ] || fail 'not one line'
}
words='it locked itself in'
missed '"$1" locked 20 9 0; exit 0' bash "$PARTS/ends"
words='it ended without exit'
missed '"$1" quick 20 9 0; exit 0' bash "$PARTS/ends"
words='it outlived the program'
missed '(echo on >up; sleep 20) & while [ ! -s up ]; do :; done; echo $! >left; exit 0' bash
kill "$(cat left)" 2>/dev/null
if [ "$(id -u)" = 0 ]; then
    words='its user is another one now'
    missed 'python3 -c "import os; os.setuid(65534)"; exit 0' bash
fi
try 0 "$FREEHOLD" run --leaks-children --leaks-exit-code 9 -q -- bash -c '(exec "$1" return 0 9 0); true; exit 0' bash "$PARTS/ends"
silent err
try 0 "$FREEHOLD" run --leaks -q --json all.json -- bash -c '"$1" return 20 100 2; exit 0' bash "$PARTS/ends"
holds all.json "'leaks_of_children' not in j"
try 0 "$FREEHOLD" run --leaks-children -q -- bash -c '(sleep 0.5; "$1" return 20 9 2; echo on >done) & exit 0' bash "$PARTS/ends"
for _ in $(seq 100); do
    if [ -s done ]; then break; fi
    sleep 0.05
done
[ -s done ] || fail 'a child that outlives the program did not end'
try 0 "$FREEHOLD" run --leaks-children -q --json all.json -- \
    bash -c 'for i in $(seq 20); do "$1" return $((i % 3)) 20 1 & done; wait; exit 0' bash "$PARTS/ends"
holds all.json "sorted(c['lost_blocks'] for c in j['leaks_of_children'] if c['name'] == 'ends') == sorted(i % 3 for i in range(1, 21))"

# What cannot be told is said.
why() {
    status=$1
    shift
    try "$status" "$FREEHOLD" run --leaks -q --json all.json -- "$@"
    holds all.json "j['leaks']['verdict'] is None"
    says err 'was not searched for leaks: '
}
why 0 "$PARTS/ends" quick 200 100 1
says err 'ended without exit()'
why 137 sh -c '"$@"; exit $?' sh "$PARTS/ends" kill 200 100 1
why 0 "$PARTS/ends" last 200 100 2
says err 'the first thread of process'
why 0 "$PARTS/ends" locked 200 100 1
says err 'locked itself in'
why 0 env -i "$PARTS/ends" return 200 100 1
try 125 "$FREEHOLD" run --leaks -- "$PARTS/ends_static_pie" return 1 1 1
says err 'static program'

# The report comes behind the summary; the exit status.
try 0 "$FREEHOLD" run --leaks -- "$PARTS/ends" return 200 100 1
head -n 1 err | grep -q '^freehold: ends: peak ' || fail 'the summary is not first'
grep -qE '^freehold: at the end of ends \(pid [0-9]+\): 200.0 KiB lost in 200 blocks, of ' err || fail 'no verdict'
says err 'lost        180 x 1,024 B = 180.0 KiB, '
silent out
try 9 "$FREEHOLD" run --leaks-exit-code 9 -- "$PARTS/ends" return 200 100 1
try 9 "$FREEHOLD" run --leaks-exit-code 9 -- "$PARTS/ends" status 200 100 1
try 3 "$FREEHOLD" run --leaks-exit-code 9 -- "$PARTS/ends" status 0 100 1
try 3 "$FREEHOLD" run --leaks-exit-code 0 -- "$PARTS/ends" status 200 100 1
try 0 "$FREEHOLD" run --leaks-exit-code 9 -- "$PARTS/ends" return 0 100 1
try 125 "$FREEHOLD" run --leaks-exit-code 9 -- "$PARTS/ends" quick 200 100 1
echo 'size:1024' >known
try 0 "$FREEHOLD" run --leaks-exit-code 9 --suppress known -- "$PARTS/ends" return 200 100 1
says err 'suppressed  200 blocks, 200.0 KiB by 1 rule,'
try 125 "$FREEHOLD" run --leaks --suppress no-such-file -- touch ran
try 125 "$FREEHOLD" run --leaks --scratch no-such-folder -- touch ran
[ ! -e ran ] || fail 'the program ran'
for wrong in 256 x ''; do try 125 "$FREEHOLD" run --leaks-exit-code "$wrong" -- touch ran; done
[ ! -e ran ] || fail 'the program ran'
at_end 0 true
lost 0

# A program whose command was killed does not wait for it at its end.
mkfifo gate
# shellcheck disable=SC2016
"$FREEHOLD" run --leaks -- python3 -c 'import atexit, os
atexit.register(lambda: open("ended", "w").write("x"))
open("pid", "w").write(str(os.getpid()))
open("gate").read()' &
command=$!
while [ ! -s pid ]; do sleep 0.05; done
kill -KILL $command
wait $command 2>/dev/null
echo on >gate
for _ in $(seq 200); do
    if [ ! -s "/proc/$(cat pid)/exe" ]; then break; fi
    sleep 0.05
done
[ -s ended ] || fail 'it did not come to its end'
if [ -s "/proc/$(cat pid)/exe" ]; then # a zombie has none
    kill "$(cat pid)"
    fail 'it waits for a command that is gone'
fi

# Counted as others count: blocks that nothing points to, directly or not.
if [ -x "$PARTS/ends_lsan" ]; then
    for how in return exit thread; do
        "$PARTS/ends_lsan" $how 200 100 3 >out 2>err
        says err 'in 200 allocation(s)'
    done
fi
if command -v valgrind >/dev/null; then
    valgrind "$PARTS/ends" return 200 100 3 >out 2>err
    says err 'definitely lost: 186,368 bytes in 182 blocks'
    says err 'indirectly lost: 18,432 bytes in 18 blocks'
fi
finish
