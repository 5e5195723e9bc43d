#!/bin/sh
# A program whose filter kills it for restart_syscall survives being looked at, in each call that the kernel goes on with
# by that one; where the filter is seen to allow it, the kernel goes on so, which keeps the time.
. "$(dirname "$0")/lib.sh"

[ "$(uname -m)" = x86_64 ] || exit 77 # elsewhere such a program is refused

cat >again <<END
#!/bin/sh
for i in 1 2 3 4; do
    "$FREEHOLD" leaks --json \$1 >one.json 2>said || { cat said; exit 1; }
done
cut -d ' ' -f 1 /proc/\$1/syscall >call
END
chmod +x again
for call in 0 1 2 3 4; do
    try 0 "$HOLD" "$PARTS/filtered" $call -- ./again @
    says err 'still here'
    says_not call 219
done

# Only who has the right sees a filter.
if grep -q 4294967295 /proc/self/uid_map && [ "$(id -u)" = 0 ] && grep -q 'Seccomp:.0' /proc/self/status &&
    grep -q 'CapEff:.*[2367abef].....$' /proc/self/status; then
    try 0 "$HOLD" "$PARTS/filtered" allow -- ./again @
    says err 'still here'
    says call 219
fi
finish
