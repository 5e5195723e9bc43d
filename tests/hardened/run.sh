#!/bin/sh
# freehold run --hardened: the program runs on the hardened library at the level that was asked for; what it does
# wrong ends it, as it would without us, and is told once more with functions and lines; else nothing changes.
# shellcheck disable=SC2016 # what sh -c gets expands there
. "$SOURCES/tests/cli/lib.sh"
misuse=$PARTS/hardened_misuse

# What the program sees: its streams and status, and options in the order in which they win.
try 7 "$FREEHOLD" run --hardened -q -- sh -c 'echo out; echo err >&2; exit 7'
[ "$(cat out)" = out ] || fail 'stdout changed'
[ "$(cat err)" = err ] || fail 'stderr changed'
FREEHOLD_OPTIONS=a=1 "$FREEHOLD" run --hardened -q -- sh -c 'echo $FREEHOLD_OPTIONS' >out 2>err
grep -q '^a=1,report=/proc/[0-9]*/fd/[0-9]*,run_file=/proc/' out || fail 'options'
FREEHOLD_OPTIONS=stats=0 "$FREEHOLD" run --hardened=strict -q -o harden=light -- sh -c 'echo $FREEHOLD_OPTIONS' >out 2>err
grep -q '^stats=0,harden=strict,report=/proc/[0-9]*/fd/[0-9]*,harden=light,run_file=' out || fail 'options of the user first'
try 0 "$FREEHOLD" run --hardened -q -- sh -c 'grep -c libfreehold-hardened.so.1 /proc/self/maps && ! grep libfreehold.so.1 /proc/self/maps'

for level in light standard strict; do
    try 0 "$FREEHOLD" run --hardened=$level -q --json all.json -- true
    holds all.json "j['hardened'] == '$level' and j['reports'] == [] and j['library'].endswith('libfreehold-hardened.so.1')"
    silent err
    # Twice is found at every level.
    try 134 sh -c '"$0" run --hardened="$1" --json all.json -- "$2" twice; exit $?' "$FREEHOLD" $level "$misuse"
    silent out
    says err 'double free'
    says err 'freehold: hardened_misuse (pid '
    says err '): double-free: '
    grep -qE '^    #0  drop  .*/misuse\.c:9$' err || fail 'no line of the call'
    grep -qE '^    #1  main  .*/misuse\.c:2[0-9]$' err || fail 'no line of the caller'
    holds all.json "[r['what'] for r in j['reports']] == ['double-free'] and j['signal'] == 6"
done
try 0 "$FREEHOLD" run --json all.json -q -- true
holds all.json "j['hardened'] is None"

# Quiet, too, since it is wrong; and beside other reports of ours.
try 134 sh -c '"$0" run --hardened -q -o calls=0 -- "$1" behind; exit $?' "$FREEHOLD" "$misuse"
says err '): overflow: '
says_not err 'peak RSS'

# Calls of libc are checked at the levels that do it, or if asked for; else nothing stands in front of libc.
checks() { # WHETHER FREEHOLD_OPTIONS ARGUMENTS...
    status=0 checked=$1 FREEHOLD_OPTIONS=$2
    export FREEHOLD_OPTIONS
    shift 2
    [ "$checked" = True ] || status=1
    try $status "$FREEHOLD" run "$@" -q --json all.json -- grep -q libfreehold-hardened-calls.so.1 /proc/self/maps
    holds all.json "j['calls_checked'] is $checked"
    unset FREEHOLD_OPTIONS
}
checks True '' --hardened
checks True '' --hardened=standard
checks True '' --hardened=strict
checks False '' --hardened=light
checks True '' --hardened=light -o calls=1
checks True calls=2 --hardened=light
checks False calls=0 --hardened=strict
checks True calls=0 --hardened=strict -o calls=1
checks False calls=1 --hardened -o stats=0,calls=0
checks False harden=light --hardened
checks False '' --hardened=strict -o harden=light
checks True harden=light --hardened=strict
try 134 sh -c '"$0" run --hardened -q --json all.json -- "$1" behind; exit $?' "$FREEHOLD" "$misuse"
says err '): checked-call: would write 1 byte past the end of a block of 48 bytes (49 bytes, from its start on)'
grep -qE '^    #0  write_behind  .*/misuse\.c:15$' err || fail 'no line of the call'
holds all.json "[r['what'] for r in j['reports']] == ['checked-call'] and 'would write 1 byte past' in j['reports'][0]['sentence']"

# It goes on if it may, and all is told; of many, some.
try 3 "$FREEHOLD" run --hardened -q -o bad_free=ignore -- "$misuse" many
says out 'went on'
[ "$(grep -c '): double-free: ' err)" = 16 ] || fail 'not the first 16 reports'
says err 'and 3 reports more; option report=FILE keeps all'

# A file of the user's gets the reports instead.
try 134 sh -c '"$0" run --hardened -q -o report=$PWD/mine -- "$1" twice; exit $?' "$FREEHOLD" "$misuse"
holds mine "j['what'] == 'double-free'"
says_not err 'hardened_misuse (pid'

# Leaks at the end.
try 0 "$FREEHOLD" run --hardened --leaks -q --json all.json -- "$LEAKS/ends" return 200 100 3
holds all.json "j['leaks']['verdict'] is not None and j['leaks']['allocator'] == 'Freehold' and j['leaks']['damaged'] == 0"
holds all.json "sum(j['leaks']['totals'][k]['count'] for k in ('lost', 'indirectly_lost')) == 200"
finish
