#!/bin/sh
# A file that cannot be: each is one line, which says what to do, and the program runs on. What could break: a fifo that
# blocks the start; a file of somebody else that is written to; a process that locks itself in and is killed.
. "$(dirname "$0")/lib.sh"

# refused PATH WHY
refused() {
    with "oom=$1" "$GROW" 100 1
    [ $got -eq 0 ] || fail "status $got with $1"
    [ "$(wc -l <err)" = 1 ] || fail "not one line with $1"
    says err "freehold: oom: '$1' $2"
    says out grown
}

mkdir d
mkfifo fifo
echo 'precious' >other
printf 'free' >short
refused "$scratch/d" 'is a directory; name a file in it; ignored'
refused "$scratch/fifo" 'is no regular file'
refused /dev/null 'is no regular file'
refused "$scratch/none/box" 'lies in a directory that is not there; make it; ignored'
refused "$scratch/other/box" 'lies in a directory that is not there'
refused "$scratch/other" 'holds something else; name another file; ignored'
refused "$scratch/short" 'holds something else'
[ "$(cat other)" = precious ] || fail 'a file of others was changed'
with "oom=" "$GROW" 100 1
says err "'oom=' has a bad value: use a path of at most 255 bytes; ignored"
with "oom=$scratch/d,strict=1" "$GROW" 100 1
[ $got -ne 0 ] || fail 'strict=1 and a bad file, and it ran'
says err 'stopping (option strict=1)'

# A user who may not write there.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    mkdir -m 755 closed
    chmod 755 "$scratch"
    LD_PRELOAD=$FREEHOLD_SO FREEHOLD_OPTIONS=oom=$scratch/closed/box \
        setpriv --reuid 65534 --clear-groups /bin/echo hello >out 2>err
    says err 'may not be written to by this user; name another file'
    says out hello
fi
exit 0
