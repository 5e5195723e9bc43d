#!/bin/sh
# serve.sh: a server that leaks, checks all that it holds, and must stay below nine tenths (three or four on a machine with time) of what it would grow to: with
# option plug alone, and under `freehold run --plug`.
. "$(dirname "$0")/lib.sh"

grown() { sed -nE 's/^ok [0-9]+ ([0-9]+)$/\1/p' out; }

try 0 env LD_PRELOAD="$LIBRARY" "$PARTS/plug_server" 150 16
without=$(grown)
silent err
[ "$without" -gt 100000 ] || fail "without the plug it grew to $without KiB only"

try 0 env LD_PRELOAD="$LIBRARY" FREEHOLD_OPTIONS=plug,plug_age=300,plug_rate=256M "$PARTS/plug_server" 150 16
with=$(grown)
says err 'found lost again, go back; stopped'
says err ' B = ' # a group
says err 'freehold: plug: gave back '
says err ', in classes '
[ "$with" -lt $((without * 9 / 10)) ] || fail "it grew to $with KiB, without the plug to $without"

try 0 "$FREEHOLD" run --plug --plug-age 300ms --plug-rate 256M -- "$PARTS/plug_server" 150 16
under=$(grown)
says err 'found lost again, go back; stopped'
says err 'freehold: plug: gave back '
[ "$under" -lt $((without * 9 / 10)) ] || fail "under run it grew to $under KiB, without the plug to $without"
echo "without $without KiB, with $with KiB, under run $under KiB"
finish
