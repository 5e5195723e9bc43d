#!/bin/sh
# freehold doctor: limits that the test sets itself are found, with what follows and the remedy.
. "$(dirname "$0")/lib.sh"
export FREEHOLD_LIBRARY="$STANDIN_SO"

# with LIMIT: what the doctor says under it, in ./out; the status in $status.
with() {
    cases=$((cases + 1))
    sh -c "$1; exec \"\$FREEHOLD\" doctor" >out 2>err
    status=$?
}

with true
plain=$status
[ "$plain" -le 1 ] || fail "status $plain"
head -n 1 out | grep -qE '^freehold doctor: [0-9]+ bad, [0-9]+ to note, [0-9]+ fine$' || fail 'no verdict'
[ "$(grep -c '^bad ' out)" = "$(sed -nE '1s/.*: ([0-9]+) bad.*/\1/p' out)" ] || fail 'the verdict miscounts'
[ $plain -eq "$(grep -c '^bad ' out | sed 's/[1-9][0-9]*/1/')" ] || fail 'the status is not the verdict'
says out "page size = $(($(getconf PAGESIZE) / 1024)) KiB"
says out "ok    library of freehold run = $STANDIN_SO"
says out 'note  library of freehold run --hardened = the library '
if grep '^ok' -A1 out | grep -qE 'so what|remedy'; then fail 'advice on what is fine'; fi

with 'ulimit -v 900000'
[ $status -eq 1 ] || fail 'a tight RLIMIT_AS is not bad'
says out 'bad   ulimit -v (RLIMIT_AS) = 878.9 MiB'
grep -A2 '^bad   ulimit -v' out | grep -q 'remedy:  ulimit -v unlimited' || fail 'no remedy'
with 'ulimit -v 4000000'
says out 'note  ulimit -v (RLIMIT_AS) = 3.8 GiB'
with 'ulimit -d 4000000'
says out 'note  ulimit -d (RLIMIT_DATA)'
with 'export FREEHOLD_LIBRARY=/no/such/lib.so'
[ $status -eq 1 ] || fail 'a missing library is not bad'
says out 'bad   library of freehold run = the library /no/such/lib.so is missing'
with 'export LD_PRELOAD=/no/such/lib.so'
[ $status -eq 1 ] || fail 'an ignored preload is not bad'
says out 'bad   LD_PRELOAD = /no/such/lib.so: there is no such file'
with "export LD_PRELOAD=$STANDIN_SO"
says out 'note  malloc of a plain program = Freehold'
try 2 "$FREEHOLD" doctor extra
try 2 sh -c '"$FREEHOLD" doctor >/dev/full'
says err 'cannot write to standard output: No space left'

# Where /proc and /sys are not mounted nothing is said that was not looked at.
if unshare -m true 2>/dev/null; then hide='unshare -m'; else hide='unshare -Urm'; fi
if $hide sh -c 'mount -t tmpfs none /sys && mount -t tmpfs none /proc' 2>/dev/null; then
    try 1 $hide sh -c 'mount -t tmpfs none /sys; mount -t tmpfs none /proc; exec "$FREEHOLD" doctor'
    says out 'bad   /proc = not mounted'
    says out 'transparent huge pages = not known: /sys is not mounted'
    says out 'cgroup memory limit = not known: /proc is not mounted'
    says_not out 'fast page scan'
    try 2 $hide sh -c 'mount -t tmpfs none /proc; exec "$FREEHOLD" which 1'
    says err '/proc is not mounted here'
fi
finish
