#!/bin/sh
# Stall: processes in a group of a few MiB wait for their written pages, and one that has nothing to do with it, but is
# on the same machine, tells what it holds. STALL_DIR is on a disk.
. "$(dirname "$0")/lib.sh"
if [ ! -r /proc/pressure/memory ]; then
    echo 'skipped: this kernel has no PSI (/proc/pressure/memory)'
    exit 77
fi
. "$(dirname "$0")/make_group.sh"
total() { awk '/^some/ { sub(/.*total=/, ""); print }' /proc/pressure/memory; }

group_limit 6291456
before=$(total)
LD_PRELOAD=$FREEHOLD_SO FREEHOLD_OPTIONS=oom=$box sleep 8 &
for i in 1 2 3; do
    sh -c 'echo $$ >"$1/cgroup.procs"; exec timeout 5 dd if=/dev/zero of="$2" bs=1M count=1500' sh "$group" \
        "$STALL_DIR/stall.$i" 2>/dev/null &
done
wait
rm -f "$STALL_DIR"/stall.?
waited=$((($(total) - before) / 1000))
if [ $waited -lt 1500 ]; then
    echo "skipped: no stall could be made here, $waited ms in 8 s"
    exit 77
fi
says "$box" 'why         stall: the kernel says that tasks wait for memory'
says "$box" '(sleep), report 1, '
exit 0
