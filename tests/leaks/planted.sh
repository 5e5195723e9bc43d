#!/bin/sh
# Every block that was lost is found, and nothing else is called lost: among a million live ones, in
# threads, stripped, static or not, on glibc and on Freehold.
. "$(dirname "$0")/lib.sh"

# found PROGRAM LIVE LOST THREADS [large]: all of them, by number.
found() {
    look 1 "$@" -- --json
    holds out "j['totals']['lost']['count'] + j['totals']['indirectly_lost']['count'] == $3"
    holds out "j['totals']['reachable']['count'] >= $2"
    holds out "all((g['text'] or 'chain').startswith(('planted', 'chain')) for g in j['groups'])"
    holds out "j['damaged'] == 0 and j['unread_bytes'] == 0 and j['copied_while_stopped'] is None"
    holds out "j['stopped_us'] > 0"
}

found "$PARTS/plant" 1000000 10000 4
holds out "j['allocator'] == 'glibc' and j['threads'] == 5"
holds out "j['totals']['indirectly_lost']['count'] == 900"
found "$PARTS/plant_stripped_static" 100000 10000 4
found "$PARTS/plant_stripped_pie" 100000 10000 4
found "$PARTS/plant_fixed" 100000 10000 1
found "$PARTS/plant" 1000 1000 1 large
found "$PARTS/plant" 20000 2000 30

# Nothing was lost.
look 0 "$PARTS/plant" 50000 0 3 -- --json
holds out "j['totals']['lost']['count'] == 0 and j['groups'] == []"

# What only the kernel points to is not lost, nor what memory points to that a fork leaves out.
look 1 "$PARTS/inside" -- --json
holds out "[(g['text'], g['count']) for g in j['groups'] if g['kind'] == 'lost'] == [('of nobody', 5)]"

# Freehold's own heap, by its registry. The library is preloaded into the program alone.
printf '#!/bin/sh\nLD_PRELOAD=%s exec "%s/plant" "$@"\n' "$LIBRARY" "$PARTS" >on_freehold
chmod +x on_freehold
found ./on_freehold 1000000 10000 4
holds out "j['allocator'] == 'Freehold'"
found ./on_freehold 1000 1000 2 large
look 0 ./on_freehold 50000 0 3 -- --json
finish
