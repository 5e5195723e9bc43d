#!/bin/sh
# sampled.sh PROGRAM CASE [MESSAGE [LINE...]]
# Runs a case of sampled.c with every block sampled. With MESSAGE it must end by SIGABRT, after one report whose first
# line matches that extended expression and which has a line like each LINE; the JSON of option report says the
# same. Without, it must say nothing and end well.
set -u
ulimit -c 0
program=$1 case=$2 message=${3-}
shift 2
[ $# -gt 0 ] && shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
FREEHOLD_OPTIONS="sample=1,sample_slots=64,uninit=whole,report=$scratch/json" "$program" "$case" 2>"$scratch/said"
status=$?
cat "$scratch/said"
if [ -z "$message" ]; then
    [ $status -eq 0 ] && [ ! -s "$scratch/said" ] && exit
    echo "status $status, and should say nothing"
    exit 1
fi
if [ "$case" = uninitialised ] && [ $status -eq 0 ] && ! [ -r /dev/userfaultfd ]; then
    echo 'no userfaultfd for faults in the kernel here'
    exit 77
fi
[ $status -eq 134 ] || { echo "status $status, expected 134"; exit 1; }
[ "$(grep -c '^freehold: ' "$scratch/said")" -eq 1 ] || { echo 'expected one report'; exit 1; }
grep -Eq "^freehold: $message; stopping" "$scratch/said" || { echo "expected: $message"; exit 1; }
for line; do
    grep -Eq "^ *$line" "$scratch/said" || { echo "expected a line: $line"; exit 1; }
done
python3 - "$scratch" <<'END'
import json, sys
said = open(sys.argv[1] + '/said').read()
(line,) = open(sys.argv[1] + '/json').read().splitlines()
report = json.loads(line)
assert report['sentence'] in said and report['address'] in said, report
assert report['block']['sample'] > 0 and report['made']['stack'], report
modules = {frame.get('module') for part in (report, report['made']) for frame in part['stack']}
assert report['program'] in modules, modules
END
