#!/bin/sh
# stats.sh LIBRARY: option stats=1 of programs that treat standard error as their own: close it, as the
# coreutils do before they end, and open files under its number.
set -u
export FREEHOLD_OPTIONS=stats=1
file=$(mktemp)
trap 'rm -f "$file"' EXIT

said=$(echo x | LD_PRELOAD=$1 sort 2>&1 >/dev/null)
[ "$(echo "$said" | grep -c '^freehold: ')" = 9 ] || { echo "expected nine lines of sort: $said"; exit 1; }
echo "$said" | head -n 1 | grep -qE 'statistics of process [0-9]+, sort$' || { echo "not said of whom: $said"; exit 1; }

# The data file that perl opens as descriptor 2 gets none of it, standard error does.
said=$(LD_PRELOAD=$1 perl -e 'close STDERR; open(F, ">", $ARGV[0]); die unless fileno(F) == 2; print F "data\n"' \
    "$file" 2>&1)
[ "$(cat "$file")" = data ] || { echo "written into a file of the program's"; exit 1; }
echo "$said" | grep -q 'given back so far' || { echo 'nothing on standard error'; exit 1; }
