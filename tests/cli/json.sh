#!/bin/sh
# freehold run --json, which --json, doctor --json: valid JSON with the numbers that are known.
. "$(dirname "$0")/lib.sh"
export FREEHOLD_LIBRARY="$STANDIN_SO"

try 4 "$FREEHOLD" run -q --json all.json -- sh -c 'exit 4' x 'a "quoted" \ argument' "$(printf 'bad \377 byte\n\001')"
silent err
holds all.json "j['exit_status'] == 4 and j['signal'] is None and j['took_effect']"
holds all.json "j['command'][:3] == ['sh', '-c', 'exit 4'] and j['command'][4] == 'a \"quoted\" \\\\ argument'"
holds all.json "j['command'][5] == 'bad \ufffd byte\n\u0001'"
holds all.json "len(j['processes']) == 1 and j['processes'][0]['main'] and j['processes'][0]['pid'] == j['pid']"
holds all.json "j['processes'][0]['peak']['live'] == 38 << 20 and j['processes'][0]['peak']['total'] == 40 << 20"
holds all.json "j['processes'][0]['sizes'] == [dict(above=16, up_to=32, allocations=1000000), dict(above=64, up_to=128, allocations=200000)]"

try 0 "$FREEHOLD" run -q --json - -- printf ''
cp out stdout.json
holds stdout.json "j['peak_rss'] > 0"

# A file that cannot be written is said before the program runs.
try 125 "$FREEHOLD" run --json '' -- touch ran
says err 'name is empty'
try 125 sh -c '"$FREEHOLD" run --json - -- touch ran >&-'
says err 'standard output is closed'
try 125 "$FREEHOLD" run --json /no/such/folder/x -- touch ran
says err '/no/such/folder/x'
[ ! -e ran ] || fail 'the program ran'
try 125 "$FREEHOLD" run -q --json /dev/full -- true
says err '/dev/full'

try 0 "$PARTS/hold" env LD_PRELOAD="$STANDIN_SO" "$PARTS/still" -- "$FREEHOLD" which --json @
cp out which.json
holds which.json "j['allocator'] == 'Freehold' and j['certainty'] == 'sure' and j['status'] == 0 and not j['static']"
holds which.json "j['freehold']['version'] == '9.8.7' and j['freehold']['large_bytes'] == 1 << 20"
holds which.json "j['freehold']['slab_bytes'] == 150 * 64 and j['freehold']['live_heaps'] == 1"
holds which.json "j['freehold']['dirty_bytes'] == 128 << 10 and j['freehold']['idle_heaps'] == 1"

"$FREEHOLD" doctor --json >doctor.json 2>err
status=$?
holds doctor.json "(j['bad'] > 0) == ($status == 1) and $status < 2"
holds doctor.json "all(f['level'] in ('ok', 'note', 'bad') and f['value'] for f in j['findings'])"
holds doctor.json "all(f['so_what'] for f in j['findings'] if f['level'] != 'ok')"
finish
