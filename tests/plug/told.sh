#!/bin/sh
# told.sh: who cannot be helped is told why and what to do, in one line, and runs on.
. "$(dirname "$0")/lib.sh"
one_line() { [ "$(wc -l <err)" = 1 ] || fail 'not one line'; }

try 3 "$FREEHOLD" plug $$
says err 'allocates with glibc'
says err 'freehold run --plug -- PROG'
one_line
try 2 "$FREEHOLD" plug 4194303
says err 'there is no process'
one_line
try 2 "$FREEHOLD" plug --age soon $$
says err "'soon' is no time; write it as 60s"
try 125 "$FREEHOLD" run --plug --leaks -- true
says err 'do not go together'
try 125 "$FREEHOLD" run --plug-age 0 -- true
says err "'0' is no time"

LD_PRELOAD=$LIBRARY sleep 100 &
pid=$!
while ! grep -q libfreehold /proc/$pid/maps; do sleep 0.05; done
try 3 "$FREEHOLD" plug $pid
says err 'without option plug'
says err 'FREEHOLD_OPTIONS=plug'
one_line
kill $pid

# A program that ends at once has no looker, and says nothing.
try 0 env LD_PRELOAD="$LIBRARY" FREEHOLD_OPTIONS=plug true
silent err
# The library far from its command.
mkdir -p far/lib
cp "$LIBRARY" far/lib/libfreehold.so.1
if [ ! -x /usr/local/bin/freehold ]; then
    try 0 env LD_PRELOAD="$PWD/far/lib/libfreehold.so.1" FREEHOLD_OPTIONS=plug,plug_age=300 PATH="${FREEHOLD%/*}" "$PARTS/plug_waits" quiet
    says err 'the command is not beside the library'
    one_line
fi
# PID 1, and a process that has locked itself in.
try 0 env LD_PRELOAD="$LIBRARY" FREEHOLD_OPTIONS=plug,plug_age=300 "$PARTS/plug_waits" subreaper
says err 'it adopts orphans'
one_line
try 0 env LD_PRELOAD="$LIBRARY" FREEHOLD_OPTIONS=plug,plug_age=300 "$PARTS/plug_waits" early
says err 'it has locked itself in'
one_line
finish
