#!/bin/sh
# command.sh FREEHOLD PROGRAM STATIC: `freehold gc run` runs a program that is linked to libgc with its own status and
# says what the collector did; it refuses others with the reason; `freehold which` sees the library.
set -u
freehold=$1 program=$2 static=$3
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
status=0

fail() {
    echo "$1"
    cat "$work/err"
    status=1
}

# try STATUS TEXT ARGUMENT...: the exit status, and what standard error says.
try() {
    wanted=$1 text=$2
    shift 2
    "$freehold" gc run "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ $got = "$wanted" ] || fail "gc run $*: status $got, not $wanted"
    grep -q "$text" "$work/err" || fail "gc run $*: no '$text'"
}

"$freehold" gc --help >"$work/out" 2>"$work/err" || fail 'gc --help fails'
grep -q '^Usage: freehold gc run' "$work/out" || fail 'gc --help does not say how it is used'

try 0 'collections in .* which stopped all of it for .* no thread waited longer than .* heap at most' -- "$program" 20
try 7 'collections in' -- "$program" 1 7
try 125 'not linked to libgc.so.1' -- /bin/true
try 125 'static program' -- "$static"
try 127 'no program' -- no-such-program
try 125 'which program' --
"$freehold" gc run --quiet -- "$program" 1 >"$work/out" 2>"$work/err" || fail 'gc run --quiet fails'
[ -s "$work/err" ] && fail 'gc run --quiet speaks'
"$freehold" gc nonsense 2>"$work/err" && fail 'gc nonsense is accepted'
FREEHOLD_LIBGC=/nonexistent "$freehold" gc run -- "$program" 1 2>"$work/err" && fail 'a missing library is not noticed'
"$freehold" gc run -q -- "$program" 1 0 "$freehold" >"$work/out" 2>"$work/err" || true
grep -q "libgc  .*libgc.so.1, Freehold's 0" "$work/out" || { cat "$work/out"; fail 'freehold which does not see libgc.so.1'; }
grep -q 'collected .* in blocks of objects' "$work/out" || { cat "$work/out"; fail 'freehold which does not see its heap'; }
grep -q Boehm "$work/out" && { cat "$work/out"; fail "freehold which takes it for Boehm's"; }
exit $status
