#!/bin/sh
# gc_smoke.sh PROGRAM...: the workloads of the collector's benchmark, at a hundredth of their work, on each
# back end that was built of Freehold's policies. What is live is not scaled, so the two largest are left
# out. Each workload checks what it computed; a good end is one line that begins with "result".
set -eu

bad=0
for program; do
    for run in 'gcbench-16 1 64' 'gcbench-2x17 2 200' 'quads 1 160' 'threads 16 128' 'arrays 1 300' \
        'strings 1 128' 'weak-table 1 96' 'ephemerons 1 96' 'finalizers 1 96' \
        'interpreter 1 108'; do
        status=0
        # shellcheck disable=SC2086  # three words
        said=$("$program" $run 0.01 2>&1) || status=$?
        case $status:$said in
        0:result\ wall_s=*) continue ;;
        esac
        echo "$program $run: exit status $status, printed: $said"
        bad=1
    done
done
exit $bad
