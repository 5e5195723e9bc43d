#!/bin/sh
# The hardened library exports what the other one does, so that it can stand in its place, and names of its own that
# say so; nothing else. sigaltstack is the plug's, which it has not.
. "$SOURCES/tests/cli/lib.sh"
names() { nm -D --defined-only "$1" | awk '{ sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort -u; }
cases=1
names "$LIBRARY" >fast
names "$HARDENED" >hardened
: >out
LC_ALL=C comm -23 fast hardened >err
[ "$(cat err)" = sigaltstack ] || fail 'the hardened library lacks these (sigaltstack is known)'
LC_ALL=C comm -13 fast hardened >out
grep -vxE "$(cat "$SOURCES/tests/hardened/exports.txt" | tr '\n' '|' | sed 's/|$//')" out >err
silent err
while read -r name; do grep -qxE "$name" out || fail "it does not export $name"; done <"$SOURCES/tests/hardened/exports.txt"
readelf -d "$HARDENED" >out
says out 'soname: [libfreehold-hardened.so.1]'
[ "$(grep NEEDED out | grep -cvE 'libc\.so\.6|ld-linux')" = 0 ] || fail 'it needs more than libc'
finish
