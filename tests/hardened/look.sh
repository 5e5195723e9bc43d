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

# Every block on pages of its own.
on standard,sample=1,sample_slots=4096 plant
lost 2000 500 1
# Without canaries, quarantine and the rest, one by one.
on standard,canary=0 plant
lost 2000 500 1
on standard,quarantine=0,zero=0 plant
lost 2000 500 1
finish
