#!/bin/sh
# Option exempt: misuse by a library or at a site named in a file is ignored, said once, and its blocks are in order
# afterwards; that of all others ends the program. What is no rule is said.
# shellcheck disable=SC2016 # what sh -c gets expands there
. "$SOURCES/tests/cli/lib.sh"
program=$PARTS/exempt_program

# on STATUS ARGUMENT...: under the rules in ./rules.
on() {
    wanted=$1
    shift
    try "$wanted" sh -c 'FREEHOLD_OPTIONS="sample=0,bad_free=abort,exempt=$1" LD_PRELOAD=$2; export FREEHOLD_OPTIONS LD_PRELOAD; shift 2; "$@"; exit $?' sh "$PWD/rules" "$HARDENED" "$program" "$@"
}

# told N: lines on standard error, of which none is a report.
told() {
    [ "$(grep -c '^freehold: ' err)" = "$1" ] || fail "not $1 lines"
    says_not err stopping
}

: >rules
for way in twice behind other; do
    on 134 library $way
    on 134 program $way
done

echo 'library libexempt_bad.so' >rules
on 0 library twice library behind library other library twice
told 1
says err 'freehold: double-free in free from '
says err ' ignored, as line 1 of option exempt says'
for way in twice behind other; do
    on 134 library twice program $way
done

# A group, and no other.
echo 'library libexempt_b*.so kinds' >rules
on 0 library other
says err 'kind-mismatch in operator delete from'
on 134 library twice
on 134 library behind
printf '# two rules\n\nlibrary libexempt_???.so canary\n\tlibrary */libexempt_bad.so frees\n' >rules
on 0 library twice library behind library twice library behind
told 2
says err 'overflow in free from'
says err 'line 3 of'
says err 'line 4 of'
on 134 library other

# The program itself, by its name; its library is another.
echo 'library exempt_program' >rules
on 0 program twice program other
on 134 library twice

# A place: as the report says it, and where it returns to; nothing beside it.
: >rules
on 134 library twice
site=$(sed -n 's/^  here .*\(libexempt_bad\.so+0x[0-9a-f]*\) twice+.*/\1/p' err | head -n 1)
[ "$site" ] || fail 'no site in the report'
echo "site $site" >rules
on 0 library twice
on 134 library behind
returns=$(printf '%s+0x%x' "${site%+*}" $((${site##*+} + 1)))
echo "site $returns frees" >rules
on 0 library twice
echo "site $(printf '%s+0x%x' "${site%+*}" $((${site##*+} + 2)))" >rules
on 134 library twice

# A function, and not one of that name elsewhere, nor one beside it.
echo 'site libexempt_bad.so:twice' >rules
on 0 library twice library twice
told 1
on 134 library behind
on 134 program twice
printf 'site libexempt_bad.so:behind\nsite libexempt_bad.so:twice\nsite exempt_program:other\n' >rules
on 0 library twice library behind library twice library behind program other program other
told 3
on 134 library other

# Checked calls.
if [ -e "${HARDENED%.so.1}-calls.so.1" ]; then
    calls="${HARDENED%.so.1}-calls.so.1:$HARDENED"
    echo 'library libexempt_bad.so calls' >rules
    try 0 env "FREEHOLD_OPTIONS=sample=0,calls=2,exempt=$PWD/rules" "LD_PRELOAD=$calls" "$program" library read
    says err 'checked-call in memcpy from'
    try 134 sh -c '"$@"; exit $?' sh env "FREEHOLD_OPTIONS=sample=0,calls=2,exempt=$PWD/rules" "LD_PRELOAD=$calls" "$program" program read
fi

# No rules.
bad() {
    printf '%s\n' "$1" >rules
    on 0
    says err "freehold: exempt, line 1: '$1' $2; ignored"
    try 134 sh -c 'FREEHOLD_OPTIONS="strict=1,exempt=$1" LD_PRELOAD=$2 /bin/true; exit $?' sh "$PWD/rules" "$HARDENED"
    says err '; stopping (option strict=1)'
}
bad 'libold.so' 'begins neither with library nor with site'
bad 'library' 'has no library, or too long a one'
bad 'library libold.so everything' 'names no group: frees, kinds, sizes, canary, calls, access or all'
bad 'site libold.so' 'says no LIBRARY+0xOFFSET and no LIBRARY:FUNCTION'
bad 'site libold.so+12' 'has no offset 0x... or function behind its library'
bad 'site libold.so+0x0' 'has no offset 0x... or function behind its library'
bad 'site libold.so+0x12345678123456789' 'has no offset 0x... or function behind its library'
bad 'site libold.so:' 'has no offset 0x... or function behind its library'
bad 'site +0x12' 'has no library, or too long a one'
i=0
while [ $i -lt 65 ]; do
    echo "library lib$i.so"
    i=$((i + 1))
done >rules
on 0
says err "exempt, line 65: 'library lib64.so' is one rule too many"
told 1
head -c 17000 /dev/zero | tr '\0' '#' >rules
on 0
says err "rules' is longer than 16 KiB; ignored"
rm rules
on 0
says err "rules' cannot be opened; ignored"
finish
