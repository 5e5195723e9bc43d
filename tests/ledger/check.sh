#!/bin/sh
# freehold check: kept, broken, not to be told; by exit status, lines, JSON and JUnit.
. "$SOURCES/tests/cli/lib.sh"
check() {
    wanted=$1
    shift
    try "$wanted" "$FREEHOLD" check "$@"
}

# What is known: 100 blocks of 8 MB at once, 800 MB; 1000 blocks of 1000 bytes.
check 0 --peak 1G --allocs 100 -- "$PARTS/take" 10 8000000 return
head -n 1 err | grep -qx 'freehold check: take: 2 of 2 promises kept' || fail 'verdict'
says err 'kept     allocs    10 allocations, of the 100 promised'
silent out
check 1 --peak 64M --allocs 9 -- "$PARTS/take" 10 8000000 return
head -n 1 err | grep -qx 'freehold check: take: 2 of 2 promises BROKEN' || fail 'verdict'
says err 'BROKEN   allocs    10 allocations: 1 above the 9 promised'
grep -q 'BROKEN   peak      7[67].[0-9] MiB held at the peak: 1[23]\.[0-9] MiB above the 64.0 MiB promised' err ||
    fail 'the peak is not that of take'
[ "$(grep -c BROKEN err)" = 3 ] || fail 'not one line for each broken promise'
check 1 --peak 1G --allocs 9 -- "$PARTS/take" 10 8000000 return
head -n 1 err | grep -q '1 of 2 promises BROKEN' || fail 'verdict'
check 0 -q --allocs 10 -- "$PARTS/take" 10 100 return
silent err
check 1 -q --allocs 9 --peak 1G -- "$PARTS/take" 10 100 return
[ "$(wc -l <err)" = 2 ] || fail 'quiet says what was kept'

# Who: a child that breaks the promise of all is named; allocations are counted together.
check 1 --peak 64M --allocs 10 -- sh -c '"$1" 10 8000000 return; exit 0' sh "$PARTS/take"
grep -qE 'BROKEN   peak      .* of take \(pid [0-9]+\): ' err || fail 'the child is not named'

# The program's own end goes before a broken promise, and is said.
check 5 --allocs 0 -- sh -c 'exit 5'
says err 'and the program ended with status 5'
try 143 sh -c '"$@"; exit $?' sh "$FREEHOLD" check --allocs 1G -- sh -c 'kill -TERM $$'
says err 'and the program was ended by signal 15'

# End RSS: what was mapped and touched is there, whatever the end; streams and status pass through.
for end in return:0 exit:0 kill:137; do
    try ${end#*:} sh -c '"$@"; exit $?' sh \
        "$FREEHOLD" check --end-rss 100M --json all.json -- "$HERE/leave" 50 ${end%:*}
    holds all.json "50 << 20 <= j['promises'][0]['found'] <= 60 << 20 and j['promises'][0]['outcome'] == 'kept'"
done
check 1 --end-rss 40M --peak-rss 40M -- "$HERE/leave" 50 return
says err 'BROKEN   end-rss'
says err 'BROKEN   peak-rss'
check 0 --end-rss 100M -- printf '%s|' a 'b c' ''
[ "$(cat out)" = 'a|b c||' ] || fail 'arguments changed'
echo input >in
"$FREEHOLD" check -q --end-rss 1G -- cat <in >out 2>err || fail 'cat failed'
[ "$(cat out)" = input ] || fail 'stdin changed'

# A program that is held at its end still gets its signals, stops and goes on.
try 0 "$FREEHOLD" check -q --end-rss 1G -- sh -c 'trap "echo got" USR1; kill -USR1 $$; echo after'
[ "$(tr '\n' ' ' <out)" = 'got after ' ] || fail 'a signal was lost'
try 0 "$FREEHOLD" check -q --end-rss 1G -- sh -c '(sleep 0.3; kill -CONT $$) & kill -STOP $$; echo on'
[ "$(cat out)" = on ] || fail 'a stopped program did not go on'

# If freehold is killed, a program that it would have held at its end goes on.
mkfifo gate
"$FREEHOLD" check --end-rss 1G -- sh -c 'echo $$ >pid; read -r line <gate; echo "$line" >after' &
while [ ! -s pid ]; do sleep 0.05; done
kill -KILL $!
wait $! 2>/dev/null
echo on >gate
for _ in $(seq 200); do
    if [ -s after ]; then break; fi
    sleep 0.05
done
[ "$(cat after)" = on ] || fail 'the program did not outlive freehold'

# Live at the end, and leaks.
check 1 --end-live 500K -- "$PARTS/take" 1000 1000 keep
says err 'BROKEN   end-live'
check 0 --end-live 2M -- "$PARTS/take" 1000 1000 keep
check 0 --leaks 0 -- "$PARTS/take" 1000 1000 return
says err 'kept     leaks     0 B lost at the end, of the 0 B promised'
check 0 --leaks 0 -- "$PARTS/take" 1000 1000 keep # a static table points to them
check 0 --leaks 0 -- true
check 1 --leaks 100k -- "$ENDS" return 125 100 1
says err 'BROKEN   leaks     125.0 KiB lost at the end in 125 blocks: 25.0 KiB above the 100.0 KiB promised'
[ "$(grep -c BROKEN err)" = 2 ] || fail 'not one line for a broken promise'
check 0 --leaks 125KiB --end-rss 1G --json all.json -- "$ENDS" return 125 100 1
says err 'kept     leaks     125.0 KiB lost at the end in 125 blocks, of the 125.0 KiB promised'
says err 'kept     end-rss'
holds all.json "[(p['unit'], p['found']) for p in j['promises'] if p['promise'] == 'leaks'] == [('bytes', 128000)]"
echo 'size:1024' >known
check 0 --leaks 0 --suppress known -- "$ENDS" return 125 100 1
check 125 --leaks 0 --suppress no-such-file -- touch ran
[ ! -e ran ] || fail 'the program ran'
check 125 --leaks 3x -- true
says err 'is no size'
check 125 --peak 1G --suppress known -- true
says err 'go with --leaks'

# What ended too early cannot keep a promise; but break one.
check 125 --allocs 2M -- "$PARTS/take" 1000 1000 exit
says err 'unknown  allocs    cannot be told: a process did not end by exit()'
check 1 --allocs 10 -- "$PARTS/take" 300000 1000 exit
check 125 --end-live 1G --leaks 0 -- "$PARTS/take" 1000 1000 exit
says err 'did not end by exit(), and so did not say what it left'
check 125 --peak 1G -- env -i "$PARTS/take" 1 1 return
says err 'ended as another program'

# JSON and JUnit.
check 1 --peak 64M --peak-rss 8G --leaks 0 --json all.json --junit all.xml -- "$PARTS/take" 10 8000000 exit
holds all.json "[p['outcome'] for p in j['promises']] == ['broken', 'kept', 'unknown']"
holds all.json "not j['kept'] and j['broken'] == 1 and j['unknown'] == 1 and j['program_failure'] is None"
holds all.json "j['promises'][0]['limit'] == 64 << 20 and j['promises'][0]['found'] > 80000000"
python3 - all.xml <<'P' || fail 'JUnit'
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()[0]
cases = {c.get('name'): c for c in suite}
assert suite.get('tests') == '4' and suite.get('failures') == '1' and suite.get('errors') == '1'
assert list(cases) == ['exit status', 'peak', 'peak-rss', 'leaks']
assert [len(c) for c in suite] == [0, 1, 0, 1]
assert 'promised' in cases['peak'][0].get('message') and cases['leaks'][0].tag == 'error'
P
cp "$PARTS/take" './od<d & "n&me'
check 3 --allocs 1k --junit - -- sh -c 'exit 3'
python3 -c 'import sys, xml.etree.ElementTree as t; assert t.parse("out").getroot()[0].get("failures") == "1"' ||
    fail 'JUnit of a program that failed'
check 0 --allocs 1 --junit - -- './od<d & "n&me' 1 1 return
python3 -c 'import xml.etree.ElementTree as t; assert t.parse("out").getroot()[0][0].get("classname") == "freehold.od<d & \"n&me"' ||
    fail 'a name in JUnit'

# Refusals.
check 125 -- true
says err 'which promise?'
check 125 --peak 64M
says err 'which program?'
for wrong in 64X '' -1 1.2.3 99999999999G 0x10 '1 M' K; do
    check 125 --peak "$wrong" -- true
    says err 'is no size'
done
check 125 --allocs 10KiB -- true
says err 'is no number'
check 127 --peak 1M -- no-such-program
check 125 --peak 1M -- "$PARTS/still_static"
says err 'static program'
check 125 --peak 1M --json /no/such/folder/x -- touch ran
check 125 --peak 1M --junit '' -- touch ran
[ ! -e ran ] || fail 'the program ran'
check 125 --peak 1M --json /dev/full -- true
says err '/dev/full'
finish
