#!/bin/sh
# The hardened heap from outside: which, leaks, map and map --why on programs that run on it, at every level.
# What is read is what the programs did; the sums are the kernel's.
. "$SOURCES/tests/leaks/lib.sh"

# on LEVEL[,OPTION...] PROGRAM: a script that runs one of tests/leaks so; the library is in it alone.
on() {
    printf '#!/bin/sh\nFREEHOLD_OPTIONS=harden=%s LD_PRELOAD=%s exec "%s/%s" "$@"\n' "$1" "$HARDENED" "$LEAKS" "$2" >program
    chmod +x program
}

# lost LIVE LOST THREADS [large]: by number, as tests/leaks/planted.sh has it.
lost() {
    look 1 ./program "$@" -- --json
    holds out "j['totals']['lost']['count'] + j['totals']['indirectly_lost']['count'] == $2"
    holds out "j['totals']['reachable']['count'] >= $1"
    holds out "all((g['text'] or 'chain').startswith(('planted', 'chain')) for g in j['groups'])"
    holds out "j['damaged'] == 0 and j['unread_bytes'] == 0 and j['allocator'] == 'Freehold'"
}

for level in light standard strict; do
    on $level plant
    lost 20000 2000 4
    lost 1000 500 2 large
    look 0 ./program 20000 0 2 -- --json
    holds out "j['totals']['lost']['count'] == 0 and j['groups'] == []"

    try 0 "$HOLD" ./program 20000 10 1 -- "$FREEHOLD" which --json @
    holds out "j['allocator'] == 'Freehold' and j['freehold']['hardened'] == '$level' and j['freehold']['trouble'] is None"
    holds out "j['freehold']['slab_bytes'] > 20000 * 16"
    try 0 "$HOLD" ./program 20000 10 1 -- "$FREEHOLD" which @
    says out ", hardened"
    says out "level $level"

    try 0 "$HOLD" ./program 20000 10 1 -- "$FREEHOLD" map --json @
    holds out "sum(r['bytes'] for r in j['rows']) == j['resident'] and j['resident'] > 0"
    holds out "any(r['owner'] == 'heap_live' and r['bytes'] > 20000 * 16 for r in j['rows'])"
    holds out "not any(r['owner'] == 'heap_unknown' and r['bytes'] > 1 << 20 for r in j['rows'])"
done

# The library that checks calls of libc is named where it is loaded, and only there; of no use beside another malloc.
calls="$(dirname "$HARDENED")/libfreehold-hardened-calls.so.1"
if [ -e "$calls" ]; then
    try 0 "$HOLD" ./program 20000 10 1 -- "$FREEHOLD" which --json @
    holds out "j['calls'] is None"
    printf '#!/bin/sh\nLD_PRELOAD=%s:%s exec "%s/plant" "$@"\n' "$calls" "$HARDENED" "$LEAKS" >program
    try 0 "$HOLD" ./program 20000 10 1 -- "$FREEHOLD" which @
    says out "  calls       $(realpath "$calls"), which checks calls of libc"
    try 0 "$HOLD" ./program 20000 10 1 -- "$FREEHOLD" which --json @
    holds out "j['calls'].endswith('/$(basename "$(realpath "$calls")")')"
    printf '#!/bin/sh\nLD_PRELOAD=%s exec "%s/plant" "$@"\n' "$calls" "$LEAKS" >program
    try 1 "$HOLD" ./program 20000 10 1 -- "$FREEHOLD" which @
    says out ', which does nothing without the hardened library'
    says_not out 'which checks'

    # The doctor: where it would be preloaded from, and where it is.
    FREEHOLD_LIBRARY=$LIBRARY "$FREEHOLD" doctor >out 2>err
    says out "ok    library of freehold run --hardened = $(dirname "$(realpath "$LIBRARY")")/libfreehold-hardened.so.1"
    says out "ok    library of its checks of calls = $(dirname "$(realpath "$LIBRARY")")/libfreehold-hardened-calls.so.1"
    says_not out 'calls of libc in a plain program'
    LD_PRELOAD="$calls:$HARDENED" "$FREEHOLD" doctor >out 2>err
    grep -A1 '^note  calls of libc in a plain program = .*libfreehold-hardened-calls' out | grep -q 'have them checked' || fail 'preloaded, and not said'
    LD_PRELOAD="$calls" "$FREEHOLD" doctor >out 2>err
    grep -A1 '^note  calls of libc in a plain program = ' out | grep -q 'it does nothing' || fail 'of no use, and not said'
    mkdir some && cp "$(realpath "$HARDENED")" some/libfreehold-hardened.so.1
    FREEHOLD_LIBRARY=$PWD/some/libfreehold-hardened.so.1 "$FREEHOLD" doctor >out 2>err
    says out "note  library of its checks of calls = the library $PWD/some/libfreehold-hardened-calls.so.1, which checks"
    rm -r some
fi

# Every block on pages of its own.
on standard,sample=1,sample_slots=4096 plant
lost 2000 500 1
# Without canaries, quarantine and the rest, one by one.
on standard,canary=0 plant
lost 2000 500 1
on standard,quarantine=0,zero=0 plant
lost 2000 500 1
finish
