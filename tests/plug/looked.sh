#!/bin/sh
# looked.sh: programs that would notice, while they are looked into and get back what they lost.
. "$(dirname "$0")/lib.sh"
for what in looked forks confined; do
    try 0 env LD_PRELOAD="$LIBRARY" FREEHOLD_OPTIONS=plug,plug_age=300,plug_rate=1G "$PARTS/plug_waits" $what
    says out ok
    says err 'freehold: plug: gave back '
done
# Of a program that executes another one nothing is left over; of one that ends, neither.
try 0 "$FREEHOLD" run --plug --plug-age 300ms -- sh -c "exec '$PARTS/plug_waits' looked"
says out ok
says err 'freehold: plug: gave back '
finish
