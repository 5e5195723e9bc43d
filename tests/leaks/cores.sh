#!/bin/sh
# The same of core files; cut, foreign and hostile ones end in one clear line.
. "$(dirname "$0")/lib.sh"
command -v gcore >/dev/null || { echo 'no gcore here'; exit 77; }

one_line() { [ "$(wc -l <err)" -eq 1 ] || fail 'not one line'; }

try 0 "$HOLD" "$PARTS/plant" 100000 3000 3 -- gcore -o core @
core=$(ls core.*)
try 1 "$FREEHOLD" leaks --json "$core"
holds out "j['totals']['lost']['count'] + j['totals']['indirectly_lost']['count'] == 3000"
holds out "j['name'] == 'plant' and j['threads'] == 4 and not j['truncated']"
try 1 "$FREEHOLD" leaks "$core" "$PARTS/plant"
head -n 1 out | grep -q 'plant (core file): .* lost in 3,000 blocks' || fail 'no verdict'
try 2 "$FREEHOLD" leaks "$core" "$PARTS/calls"
says err 'is not of'
one_line
# By what is in it, and not by its name.
cp "$PARTS/plant" elsewhere
try 1 "$FREEHOLD" leaks "$core" ./elsewhere
mkdir named
cp "$PARTS/calls" named/plant
try 2 "$FREEHOLD" leaks "$core" named/plant
says err 'is not of named/plant'
one_line
try 2 "$FREEHOLD" leaks "$core" no-such-program
says err 'no-such-program does not exist'
try 2 "$FREEHOLD" leaks "$core" "$core"
try 2 "$FREEHOLD" leaks "$core" "$0"
says err 'is no program'

try 2 "$FREEHOLD" leaks "$PARTS/plant"
says err 'is no core file'
one_line
: >empty
try 2 "$FREEHOLD" leaks empty
echo 'no core at all, but long enough to be looked at, as ELF headers take sixty-four bytes' >text
try 2 "$FREEHOLD" leaks text
says err 'not ELF'
one_line
try 2 "$FREEHOLD" leaks .
one_line

# Cut anywhere, no length makes it crash.
size=$(wc -c <"$core")
for part in 64 100 1000 4096 20000 $((size / 100)) $((size / 3)) $((size - 100000)) $((size - 1)); do
    head -c $part "$core" >cut
    "$FREEHOLD" leaks cut >out 2>err
    status=$?
    cases=$((cases + 1))
    [ $status -le 3 ] || fail "status $status of a core of $part bytes"
    [ $status -eq 1 ] || one_line
    [ $part -gt 1000 ] || says err 'is cut off'
done

# Words overwritten anywhere in its headers, notes and heap, neither.
for seed in 1 2 3 4 5 6 7 8; do
    cp "$core" hostile
    python3 - $seed <<'END'
import random, sys
random.seed(int(sys.argv[1]))
with open('hostile', 'r+b') as f:
    size = f.seek(0, 2)
    for _ in range(200):
        f.seek(random.choice([random.randrange(64, 4096), size - random.randrange(1, 20000), random.randrange(64, size - 8)]))
        f.write(random.choice([b'\xff' * 8, b'\0' * 8, random.randbytes(8)]))
END
    timeout 60 "$FREEHOLD" leaks hostile >out 2>err
    status=$?
    cases=$((cases + 1))
    [ $status -le 3 ] || fail "status $status with seed $seed"
done
finish
