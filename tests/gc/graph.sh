#!/bin/sh
# graph.sh GRAPH: the example runs to its end, and what it says of the collector is JSON.
set -u
said=$("$1" --json) || exit 1
echo "$said"
[ "$(printf '%s\n' "$said" | grep -c 'vertex 9999999;')" -eq 1 ] || exit 1
printf '%s\n' "$said" | tail -n 1 | python3 -c '
import json, sys
stats = json.load(sys.stdin)
assert stats["collections"] > 0 and all(type(value) is int for value in stats.values())'
