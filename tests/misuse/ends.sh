#!/bin/sh
# Runs a program that misuses malloc:    ends.sh abort|ignore MESSAGE PROGRAM
# abort:  it must end by SIGABRT, after exactly one line that matches the extended expression MESSAGE.
# ignore: under bad_free=ignore it must say the same, and go on to its orderly end.
set -u
ulimit -c 0
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if [ "$1" = ignore ]; then
    FREEHOLD_OPTIONS=bad_free=ignore "$3" 2>"$said"
    status=$? expected=0 tail='; ignored$'
else
    "$3" 2>"$said"
    status=$? expected=134 tail='; stopping .*$'
fi
cat "$said"
[ $status -eq $expected ] || { echo "status $status, expected $expected"; exit 1; }
[ "$(grep -c '^freehold: ' "$said")" -eq 1 ] || { echo 'expected one line'; exit 1; }
grep -Eq "^freehold: $2.*$tail" "$said" || { echo "expected: $2"; exit 1; }
