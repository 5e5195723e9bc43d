#!/bin/sh
# check.sh CC: both models of the collector's protocol through spin, as they are and with each mutant, in a
# directory of its own. As they are no error may be found; in each mutant one has to be. 77: there is no spin.
set -u
here=$(cd "$(dirname "$0")" && pwd)
command -v spin >/dev/null || { echo 'spin is missing (scripts/setup check)'; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

build() {
    (cd "$work" && spin -a "$here/$1.pml" && "$cc" -O1 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o "$1" pan.c) ||
        { echo "$1.pml cannot be built"; exit 1; }
}

# run MODEL EXPECTED WHAT MUTANT [FEATURES STEPS]: steps of either mutator as two digits. A wait for others
# that have ended is no error in the first model (-E); in the second it is one.
run() {
    option=$([ "$1" = cycle ] && echo -E)
    # shellcheck disable=SC2086 # the option may be none
    out=$(cd "$work" && MUTANT=$4 FEATURES=${5:-0} STEPS=${6:-00} ./"$1" $option -n -m100000)
    found=$(printf '%s\n' "$out" | sed -n 's/.*errors: \([0-9]*\).*/\1/p')
    states=$(printf '%s\n' "$out" | sed -n 's/ *\([0-9]*\) states, stored.*/\1/p')
    verdict=ok
    case $2$out in 0*'not completed'*) found=incomplete ;; esac
    if [ "$found" != "$2" ]; then verdict=WRONG failed=1; fi
    printf '%-5s %-9s %2s %-55s errors: %s, %s states\n' "$verdict" "$1" "$4" "$3" "$found" "$states"
}

cc=${1:-cc}
build handshake
run handshake 0 'as it is' 0
run handshake 1 'a slow path ends without a look' 1
run handshake 1 'the signal does not mind slow paths' 2
run handshake 1 'a blocked thread is not held' 3
run handshake 1 'no second look at what is wanted' 4
run handshake 1 'a held thread is not woken' 5
run handshake 1 'a safepoint ends without a look' 6

build cycle
run cycle 0 'stores, a thread against three steps' 0 0 13
run cycle 0 'stores, two steps against two' 0 0 22
run cycle 0 'allocation' 0 1 12
run cycle 0 'threads that come and go' 0 2 13
run cycle 0 'a weak reference' 0 4 12
run cycle 0 'an ephemeron' 0 8 12
run cycle 0 'a root that is taken back' 0 16 12
run cycle 0 'a finalizer' 0 32 12
run cycle 0 'a static variable' 0 64 12
run cycle 0 'a root that is added' 0 256 12
run cycle 0 'assistance before all are scanned' 0 128 12
run cycle 1 'no old value' 1 0 12
run cycle 1 'no SNOOP' 2 0 22
run cycle 1 'SNOOP without the new value' 3 128 02
run cycle 1 'allocation white' 4 1 12
run cycle 1 'slots of stores under way not looked into' 5 0 12
run cycle 1 'attached without a barrier' 6 2 12
run cycle 1 'attached, allocating white' 7 3 12
run cycle 1 'attached within the snapshot' 8 2 12
run cycle 1 'detached with its log' 9 2 13
run cycle 1 'weak read without shade' 10 4 11
run cycle 1 'weak references without SETTLING' 11 4 12
run cycle 1 'no rounds' 12 0 12
run cycle 1 'ephemerons settled too late' 13 8 22
run cycle 1 'finalizers run too early' 15 32 02
run cycle 1 'values of stores under way not kept' 16 0 13
run cycle 1 'shared roots before all are armed' 17 64 12
run cycle 1 'a root added unshaded' 18 256 20
run cycle 1 'slots looked into by ARM' 19 0 13
run cycle 1 'attached in ARMED without SNOOP' 14 2 22
exit $failed
