#!/bin/sh
# moves.sh LOOKS: what moves all the time is never given back, in so many looks, twenty milliseconds apart.
. "$(dirname "$0")/lib.sh"
mkfifo ends
LD_PRELOAD=$LIBRARY FREEHOLD_OPTIONS=plug,plug_age=3600000 "$PARTS/plug_moves" <ends >moved 2>moved_err &
pid=$!
exec 9>ends
while ! grep -q libfreehold /proc/$pid/maps; do sleep 0.05; done
sleep 0.5
try 0 "$FREEHOLD" plug --quiet --age 20ms --every 20ms --times "$1" $pid
try 0 "$FREEHOLD" map --json $pid
holds out 'j["freehold"]["plug_blocks"] > 0'
exec 9>&-
wait $pid || { cat moved_err; fail 'a block that is held went'; }
grep -q '^ok' moved || fail 'it did not end well'
finish
