#!/bin/sh
# smoke.sh WORKLOAD LIBRARY: every workload of the benchmark at a hundredth of its size with 4 threads
# under the library. Each must end well, print its result, and nothing on stderr, which is also where
# the loader says that it could not preload. --hold with nothing on standard input skips the idle waits.
set -eu
workload=$1
library=$2
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

names=$("$workload" | awk '/^  [a-z]/ { print $1 }') || true
[ "$(echo "$names" | wc -l)" -ge 16 ] || { echo "too few workloads: $names"; exit 1; }

bad=0
for name in $names; do
    status=0
    result=$(LD_PRELOAD=$library "$workload" "$name" 4 0.01 --hold </dev/null 2>"$errors") || status=$?
    case $status:$result in
    0:*result\ inner_s=*) [ -s "$errors" ] || continue ;;
    esac
    echo "$name: exit status $status, printed: $result"
    cat "$errors"
    bad=1
done
exit $bad
