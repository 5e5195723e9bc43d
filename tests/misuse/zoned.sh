#!/bin/sh
# zoned.sh PROGRAM CASE OPTIONS [MESSAGE]
# Runs a case of zoned.c. With MESSAGE it must end by SIGABRT, after one report whose first line matches that extended
# expression. Without, it must say nothing and end well.
set -u
ulimit -c 0
said=$(mktemp)
trap 'rm -f "$said"' EXIT
FREEHOLD_OPTIONS="sample=0${3:+,$3}" "$1" "$2" 2>"$said"
status=$?
cat "$said"
if [ $# -lt 4 ]; then
    [ $status -eq 77 ] && exit 77
    [ $status -eq 0 ] && [ ! -s "$said" ] && exit
    echo "status $status, and should say nothing"
    exit 1
fi
[ $status -eq 134 ] || { echo "status $status, expected 134"; exit 1; }
[ "$(grep -c '^freehold: ' "$said")" -eq 1 ] || { echo 'expected one report'; exit 1; }
grep -Eq "^freehold: $4; stopping" "$said" || { echo "expected: $4"; exit 1; }
