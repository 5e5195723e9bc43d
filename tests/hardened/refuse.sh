#!/bin/sh
# What cannot be is refused, with what would be right: levels, what the hardened library lacks, a library that is not
# there; its options by the library itself, and by the other one, which must not take them without effect.
. "$SOURCES/tests/cli/lib.sh"
runs=/bin/true

for level in lite STRICT '' 2; do
    try 125 "$FREEHOLD" run "--hardened=$level" -- "$runs"
    says err "'$level' is no level: light, standard or strict"
done
try 125 "$FREEHOLD" run --hardened --plug -- "$runs"
says err 'the hardened library has no plug'
try 125 "$FREEHOLD" run --hardened --oom box -- "$runs"
says err 'the hardened library has no black box'
[ ! -e box ] || fail 'the file was made'
cp "$LIBRARY" libfreehold.so.1
try 125 env FREEHOLD_LIBRARY="$PWD/libfreehold.so.1" "$FREEHOLD" run --hardened -- "$runs"
says err "the library $PWD/libfreehold-hardened.so.1 is missing"
cp "$HARDENED" libfreehold-hardened.so.1
try 125 env FREEHOLD_LIBRARY="$PWD/libfreehold.so.1" "$FREEHOLD" run --hardened -- "$runs"
says err "the library $PWD/libfreehold-hardened-calls.so.1, which checks calls of libc, is missing"
says err '--options calls=0'
try 0 env FREEHOLD_LIBRARY="$PWD/libfreehold.so.1" "$FREEHOLD" run --hardened -q -o calls=0 -- "$runs"
cp "${HARDENED%.so.1}-calls.so.1" .
try 0 env FREEHOLD_LIBRARY="$PWD/libfreehold.so.1" "$FREEHOLD" run --hardened --json all.json -q -- "$runs"
holds all.json "j['library'] == '$PWD/libfreehold-hardened.so.1'"
mv libfreehold-hardened.so.1 other.so # known by its name inside
try 0 env FREEHOLD_LIBRARY="$PWD/other.so" "$FREEHOLD" run --hardened --json all.json -q -- "$runs"
holds all.json "j['library'] == '$PWD/other.so'"

# bad OPTION WHAT: the library says it, goes on without it, and ends if it is to be strict.
bad() {
    try 0 env "FREEHOLD_OPTIONS=$1" LD_PRELOAD="$HARDENED" "$runs"
    says err "freehold: FREEHOLD_OPTIONS: '$1' $2; ignored"
    try 134 sh -c 'FREEHOLD_OPTIONS=strict=1,$1 LD_PRELOAD=$2 $3; exit $?' sh "$1" "$HARDENED" "$runs"
    says err "'$1' $2; stopping (option strict=1)"
}
bad harden=lite 'has a bad value: use light|standard|strict'
bad harden= 'has a bad value: use light|standard|strict'
bad harden=1 'has a bad value: use light|standard|strict'
bad canary=2 'has a bad value: use 0 to 1'
bad zero=1M 'has a bad value: use 0 to 128K'
bad check=-1 'has a bad value: use 0 to 128K'
bad quarantine=65M 'has a bad value: use 0 to 64M'
bad kinds=yes 'has a bad value: use 0 to 1'
bad buckets=0 'has a bad value: use 1 to 3'
bad buckets=4 'has a bad value: use 1 to 3'
bad sample_slots=0 'has a bad value: use 1 to 65536'
bad sweep=2 'has a bad value: use 0 to 1'
bad poison=2 'has a bad value: use 0 or 1'
bad uninit=all 'has a bad value: use no|whole|user'
bad verify_ms=3600001 'has a bad value: use 0 to 3600000'
bad exempt= 'has a bad value: use a path of at most 255 bytes'
bad report= 'has a bad value: use a path of at most 255 bytes'

# Right by itself, and of no use here.
for wrong in "report=$PWD/no/file;cannot be opened for writing; reports go to standard error only" \
    'plug=1;is not in the hardened library' "exempt=$PWD;cannot be read"; do
    try 0 env "FREEHOLD_OPTIONS=${wrong%%;*}" LD_PRELOAD="$HARDENED" "$runs"
    says err "${wrong#*;}; ignored"
    try 134 sh -c 'FREEHOLD_OPTIONS="strict=1,$1" LD_PRELOAD=$2 $3; exit $?' sh "${wrong%%;*}" "$HARDENED" "$runs"
    says err "${wrong#*;}; stopping (option strict=1)"
done
if [ -c /dev/full ]; then
    try 134 sh -c 'FREEHOLD_OPTIONS=report=/dev/full LD_PRELOAD=$1 "$2" twice; exit $?' sh "$HARDENED" "$PARTS/hardened_misuse"
    says err 'the file of option report did not take all of this report'
fi

# Its own malloc is in the place of ours there, and must not pay for our addresses: hundreds of MB a second, without end.
if command -v valgrind >/dev/null; then
    try 0 sh -c 'FREEHOLD_OPTIONS=harden=light LD_PRELOAD=$1 timeout 30 valgrind -q "$2"; exit $?' sh "$HARDENED" "$runs"
fi

# The other library: each of them, and none of its own.
count=0
for option in $(sed -n 's/^OPTION(\([a-z_]*\),.*/\1/p' "$SOURCES/src/face/options.def"); do
    FREEHOLD_OPTIONS=help LD_PRELOAD=$LIBRARY "$runs" 2>listed
    FREEHOLD_OPTIONS=help LD_PRELOAD=$HARDENED "$runs" 2>listed_hardened
    grep -q "^$option=" listed_hardened || fail "$option is not in the hardened library's list"
    if grep -q "^$option=" listed; then continue; fi
    count=$((count + 1))
    try 0 env "FREEHOLD_OPTIONS=$option=1" LD_PRELOAD="$LIBRARY" "$runs"
    says err "'$option' is an option of libfreehold-hardened.so.1, and this is libfreehold.so.1; ignored (freehold run --hardened"
done
[ $count -ge 13 ] || fail "only $count options are the hardened library's alone"
try 134 sh -c 'FREEHOLD_OPTIONS=strict=1,harden=light LD_PRELOAD=$1 $2; exit $?' sh "$LIBRARY" "$runs"
says err 'stopping (option strict=1)'
finish
