#!/bin/sh
# What cannot be looked at is refused in one line, with what to do, and is left as it was.
. "$(dirname "$0")/lib.sh"

# await CONDITION: until it holds, for half a minute at most.
await() {
    attempt=0
    until eval "$1" 2>/dev/null; do
        attempt=$((attempt + 1))
        [ $attempt -lt 150 ] || fail "in vain waited for: $1"
        sleep 0.2
    done
}

one_line() { [ "$(wc -l <err)" -eq 1 ] || fail 'not one line'; }

try 2 "$FREEHOLD" leaks
says err 'which process or core file'
try 2 "$FREEHOLD" leaks 2147483646
says err 'there is no process 2147483646'
one_line
try 2 "$FREEHOLD" leaks 99999999999999999999
try 2 "$FREEHOLD" leaks 1 2 3
try 2 "$FREEHOLD" leaks no-such-core
says err "neither a process nor a file is named 'no-such-core'"
one_line
for name in 0 '' abc/def; do
    try 2 "$FREEHOLD" leaks "$name"
    says err "neither a process nor a file is named '$name'"
done
# Before anything is stopped.
sleep 60 >/dev/null 2>&1 &
running=$!
try 2 "$FREEHOLD" leaks --scratch no-such-folder $running
says err 'cannot keep a copy in no-such-folder: No such file'
one_line
kill $running
try 2 "$FREEHOLD" leaks --suppress no-such-file $$
says err 'no-such-file'
echo 'everything' >wrong
try 2 "$FREEHOLD" leaks --suppress wrong $$
says err 'wrong:1:'

# A zombie: a child that nobody waits for.
python3 -c 'import os, time
child = os.fork() or os._exit(0)
print(child, flush=True)
time.sleep(60)' >zombie 2>/dev/null &
sleeper=$!
await 'grep -q "State:.Z" "/proc/$(cat zombie)/status"'
try 2 "$FREEHOLD" leaks "$(cat zombie)"
says err 'has ended (a zombie'
one_line

# Traced by somebody else.
if command -v strace >/dev/null; then
    strace -o /dev/null -p $sleeper 2>/dev/null &
    tracer=$!
    await 'grep -q "TracerPid:.[1-9]" /proc/$sleeper/status'
    try 2 "$FREEHOLD" leaks $sleeper
    says err "is traced by process"
    one_line
    kill $tracer
    wait $tracer
fi

# A thread is named as such; a kernel thread has nothing to look at.
if grep -q '^VmSize' /proc/2/status 2>/dev/null || [ ! -e /proc/2 ]; then :; else
    try 2 "$FREEHOLD" leaks 2
    says err 'a kernel thread'
fi

# Another user's.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && [ -r "$FREEHOLD" ]; then
    cp "$FREEHOLD" command && chmod 755 . command
    if setpriv --reuid 65534 --regid 65534 --clear-groups ./command --version >/dev/null 2>&1; then
        try 2 setpriv --reuid 65534 --regid 65534 --clear-groups ./command leaks $sleeper
        says err "sudo freehold leaks $sleeper"
        one_line
        for option in 'leaks --copy' 'map --why=0x7f0010' 'map --walk=0x7f0010' 'map --apply' map; do
            # shellcheck disable=SC2086 # words
            try 2 setpriv --reuid 65534 --regid 65534 --clear-groups ./command $option $sleeper
            says err "sudo freehold $option $sleeper"
        done
    fi
fi
kill $sleeper
wait $sleeper 2>/dev/null

# One under seccomp is not made to fork, which would end it.
look 0 "$PARTS/confined" -- --json
holds out "'seccomp' in j['copied_while_stopped']"
says err 'still here'

# One with a thread that does not stop is not kept waiting for it, and neither is a signal to us.
for option in --json --copy; do
    try 2 "$HOLD" "$PARTS/stuck" -- timeout 60 "$FREEHOLD" leaks $option @
    says err 'cannot be stopped where it waits'
    says err 'still here'
done
cat >interrupted <<END
#!/bin/sh
"$FREEHOLD" leaks \$1 2>said &
until grep -q stopping said; do sleep 0.1; done
kill -TERM \$!
wait \$!
END
chmod +x interrupted
try 143 "$HOLD" "$PARTS/stuck" -- timeout 60 ./interrupted @
says err 'still here'

# One that stands already stays so.
sleep 60 >/dev/null 2>&1 &
stopped=$!
kill -STOP $stopped
try 0 "$FREEHOLD" leaks --json $stopped
holds out "'stopped already' in j['copied_while_stopped']"
grep -q 'State:.T' /proc/$stopped/status || fail 'it goes on'
kill -CONT $stopped
kill $stopped

# An allocator that cannot be walked is named.
LD_PRELOAD=$UNWALKED sleep 60 >/dev/null 2>&1 &
other=$!
await 'grep -q nanosleep /proc/$other/wchan || grep -q "^230 " /proc/$other/syscall'
try 3 "$FREEHOLD" leaks $other
says err 'rpmalloc'
one_line
kill $other
finish
