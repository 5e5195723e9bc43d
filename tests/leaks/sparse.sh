#!/bin/sh
# What is reserved and not used costs nothing: neither the process, nor us. Time is that of the processor.
. "$(dirname "$0")/lib.sh"
"$PARTS/sparse" </dev/null >/dev/null || exit 77 # so many addresses are not to be had
python3 -c 'import os, sys
release = [int(n) for n in os.uname().release.replace("-", ".").split(".")[:2]]
sys.exit(release < [6, 7])' || exit 77

cat >frugal <<'END'
#!/usr/bin/env python3
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = used.ru_utime + used.ru_stime
sys.exit(f'{seconds} s of processor' if seconds > 1.5 else status)
END
chmod +x frugal
for option in --json --copy; do
    try 1 "$HOLD" "$PARTS/sparse" -- ./frugal "$FREEHOLD" leaks --json $option @
    holds out "j['totals']['lost']['count'] == 5"
    says_not err 's of processor'
done
try 0 "$HOLD" "$PARTS/sparse" -- ./frugal "$FREEHOLD" map --json @
finish
