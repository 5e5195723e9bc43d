#!/bin/sh
# freehold compare: the table, who failed and why, the lines to copy, JSON; and that each run gets the same.
. "$SOURCES/tests/cli/lib.sh"
compare() {
    wanted=$1
    shift
    try "$wanted" "$FREEHOLD" compare "$@"
}

# Every allocator is a line with figures, the program as it is the first; nothing of the program is shown.
echo 'echo to stdout; echo to stderr >&2' >words
compare 0 -n 2 -- sh ./words
head -n 1 out | grep -q '^freehold compare: sh: too few rounds to tell which of [0-9]* is best (2 rounds)$' || fail 'verdict'
sed -n 3p out | grep -qE '^  glibc, as it is +[0-9.]+ [mu]?s  1 +1.00 +[0-9.]+ [KM]iB  1 +[0-9.]+ [KM]iB$' ||
    fail 'the first line is not the program as it is'
grep -qE '^  Freehold +[0-9.]+ [mu]?s +[0-9.]+ [0-9.]+-[0-9.]+ ' out || fail 'no line of Freehold'
says_not out 'to stdout'
silent err
[ "$(wc -l <out)" -le 20 ] || fail 'more than 20 lines'

# What is installed here is compared.
for peer in jemalloc:libjemalloc.so.2 mimalloc:libmimalloc.so.2; do
    library=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n "s|.*[[:space:]]${peer#*:} .*=> ||p" | head -n 1)
    [ -z "$library" ] || says out "  ${peer%%:*} "
done

# The best, and the lines to copy: a program that works hard without a preloaded library.
compare 0 -n 3 --json all.json -- sh -c 'i=0; case $LD_PRELOAD in "") while [ $i -lt 300000 ]; do i=$((i+1)); done;; esac' x "a b" "it's"
grep -qE '^freehold compare: sh: .* is best of [0-9]+( \([^)]* as good within the spread\))?: 0\.[0-9]+ of the time and [0-9.]+ of the peak' out ||
    fail 'nobody is best'
library=$(sed -n 's/^  Dockerfile  ENV LD_PRELOAD=//p' out)
[ -f "$library" ] || fail 'no line for a Dockerfile'
says out "  systemd     Environment=LD_PRELOAD=$library"
line=$(sed -n 's/^  shell       //p' out)
case $line in "LD_PRELOAD=$library sh -c '"*"' x 'a b' 'it'\\''s'") ;; *) fail "no line for a shell: $line" ;; esac
sh -c "$line" || fail 'the line for a shell does not run'
holds all.json "j['LD_PRELOAD'] == '$library' and [a['library'] for a in j['allocators'] if a['best']] == ['$library']"
holds all.json "j['allocators'][0]['library'] is None and j['allocators'][0]['cpu_us']['median'] >= 30000"
holds all.json "all(len(a['samples']) == 3 and a['good_rounds'] == 3 and a['failures'] == 0 for a in j['allocators'])"
holds all.json "all(s['peak_rss'] >= s['end_rss'] > 0 for a in j['allocators'] for s in a['samples'])"

# Peak and end are those of the program.
compare 0 -n 1 --json - -- "$HERE/leave" 50 return
cp out all.json
holds all.json "all(50 << 20 <= s['end_rss'] <= 62 << 20 for a in j['allocators'] for s in a['samples'])"

# Failures are told plainly: crash, other status, other output, not loaded.
compare 1 -n 2 --with "$HERE/libfailing.so" -- "$PARTS/take" 2 100000 return
says out 'libfailing.so       '
says out 'FAILED in 2 of 2: signal 6, Aborted: failing: too large'
compare 1 -n 1 -- sh -c 'case $LD_PRELOAD in "") ;; *) echo broken >&2; exit 3;; esac'
says out 'FAILED in 1 of 1: exit status 3: broken'
compare 1 -n 1 -- sh -c 'echo $LD_PRELOAD'
says out 'OTHER OUTPUT in 1 of 1'
compare 0 -n 2 -- sh -c 'echo $$' # differs anyway
compare 1 -n 1 -- env -i "$PARTS/take" 1 1 return
says out 'not loaded by the program'
compare 0 -n 1 -- sh -c 'exit 3' # as it does by itself
compare 125 -n 1 -- sh -c 'kill -ABRT $$'
says err 'fails on its own malloc already: signal 6'

# A file is given to each run from where it stands; a pipe to none, which is said.
printf 'first\nsecond\n' >in
(read -r line; compare 0 -n 2 -- sh -c '[ "$(cat)" = second ]') <in || exit 1
printf 'x' | (sleep 0.1; try 0 "$FREEHOLD" compare -n 1 -- sh -c '[ -z "$(cat)" ]') || exit 1
says err 'standard input is a pipe'

# Interrupted, it ends.
(trap - INT; exec "$FREEHOLD" compare -n 1000 -- sleep 0.05) >out 2>err &
sleep 1
kill -TERM $!
wait $!
[ $? = 143 ] || fail 'the status is not that of the signal'
says err 'interrupted after'

# Refusals.
compare 125
says err 'which program?'
compare 127 -- no-such-program
compare 125 -- "$PARTS/still_static"
compare 125 -n 0 -- true
says err 'from 1 to 1000'
compare 125 --with /no/such/lib.so -- true
says err 'there is no library /no/such/lib.so'
compare 125 --with "$PARTS/still" -- true
says err 'no library for this machine that exports malloc'
compare 125 --json /no/such/folder/x -- touch ran
[ ! -e ran ] || fail 'the program ran'
try 2 sh -c '"$FREEHOLD" compare -n 1 -- true >/dev/full'
finish
