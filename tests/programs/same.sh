#!/bin/sh
# A real program computes the same on our malloc as on the C library's:    same.sh SCRIPT LIBRARY [OPTIONS]
#
# Runs the script twice, each time in an empty directory of its own: what it prints, and its exit
# status, must be equal byte for byte. That the library was really there is seen from its table of
# options, which each process of the second run prints on stderr as it starts.
set -u
script=$1 library=$2 options=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/glibc" "$work/freehold"
export LC_ALL=C TZ=UTC

(cd "$work/glibc" && exec sh "$script" >../glibc.out 2>../glibc.err)
status=$?
if [ $status -eq 77 ]; then
    cat "$work/glibc.out"
    exit 77
fi
(cd "$work/freehold" && PRELOAD=$library FREEHOLD_OPTIONS=${options:+$options,}help exec sh "$script" >../freehold.out 2>../freehold.err)
ours=$?

[ $status -eq 0 ] || { echo "status $status on glibc"; cat "$work/glibc.err"; exit 1; }
[ $ours -eq 0 ] || { echo "status $ours on freehold"; tail -n 20 "$work/freehold.err"; exit 1; }
[ -s "$work/glibc.out" ] || { echo 'no output to compare'; exit 1; }
cmp "$work/glibc.out" "$work/freehold.out" || exit 1
grep -q '^purge_delay=' "$work/freehold.err" || { echo 'the library did not take effect'; exit 1; }
case $options in
*harden=*) grep -q "^$options " "$work/freehold.err" || { echo "not at this level: $options"; exit 1; } ;;
esac
wc -c <"$work/glibc.out"
