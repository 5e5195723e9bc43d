#!/bin/sh
# freehold run: what the program sees is untouched, and the summary tells what the library noted.
. "$(dirname "$0")/lib.sh"
export FREEHOLD_LIBRARY="$STANDIN_SO"

# Arguments, streams and status pass through.
try 0 "$FREEHOLD" run -- printf '%s|' a 'b c' '' '--json' '*'
[ "$(cat out)" = 'a|b c||--json|*|' ] || fail 'arguments changed'
try 7 "$FREEHOLD" run -- sh -c 'echo to stdout; echo to stderr >&2; exit 7'
[ "$(cat out)" = 'to stdout' ] || fail 'stdout changed'
says err 'to stderr'
echo input >in
"$FREEHOLD" run -q -- cat <in >out 2>err || fail 'cat failed'
[ "$(cat out)" = input ] || fail 'stdin changed'
try 0 "$FREEHOLD" run printf '%s' -q # without the dashes, options behind the program are its own
[ "$(cat out)" = '-q' ] || fail 'an option of the program was taken'

# The summary: verdict first, every figure, at most 20 lines, nothing on stdout.
try 0 "$FREEHOLD" run -- true
silent out
[ "$(wc -l <err)" -le 20 ] || fail 'more than 20 lines'
head -n 1 err | grep -q '^freehold: true: peak 40.0 MiB of memory for 38.0 MiB live (95 % used); 1.2 M allocations in ' ||
    fail 'the verdict is not the first line'
says err '2.0 MiB at that peak: 1.0 MiB in partly used slabs, 1.0 MiB in thread lists'
says err 'at exit     1.0 MiB live, 2.0 MiB held free'
says err '1.2 M blocks, 114.4 MiB, 100 B the mean'
says err '32 B [@ :] 128 B, a bar each power of two; half of them up to 32 B'
says err 'peak RSS'
says err 'at most 3 that allocate at a time'
says_not err "$(printf '\033')"
LC_ALL=C.UTF-8 "$FREEHOLD" run -- true 2>err
says err '32 B [█ ▂] 128 B'

# Quiet says nothing; but what went wrong is said.
try 0 "$FREEHOLD" run --quiet -- true
silent err
try 1 "$FREEHOLD" run --quiet -- false
silent err

# The options of the user, those of --options, ours last.
FREEHOLD_OPTIONS=a=1 "$FREEHOLD" run -q -o b=2,c=3 -- sh -c 'echo $FREEHOLD_OPTIONS' >out 2>err
grep -q '^a=1,b=2,c=3,run_file=/proc/[0-9]*/fd/[0-9]*$' out || fail 'options in another order'

# The black box: an absolute path, behind the other options; a file that cannot be is refused at once.
FREEHOLD_OPTIONS=a=1 "$FREEHOLD" run -q -o b=2 --oom box -- sh -c 'echo $FREEHOLD_OPTIONS' >out 2>err
grep -q "^a=1,b=2,oom=$PWD/box,run_file=" out || fail 'no absolute path'
[ "$(stat -c %a box)" = 600 ] || fail 'others may read the file'
try 0 "$FREEHOLD" run -q --oom "$PWD/box" -- sh -c 'echo $FREEHOLD_OPTIONS'
grep -q "^oom=$PWD/box,run_file=" out || fail 'an absolute path was changed'
mkfifo fifo
for file in . fifo none/box a,b ''; do
    try 125 "$FREEHOLD" run --oom "$file" -- sh -c 'echo ran'
    says err -oom
    silent out
done
LD_PRELOAD=/lib/x.so "$FREEHOLD" run -q -- sh -c 'echo $LD_PRELOAD' >out 2>err
[ "$(cat out)" = "$STANDIN_SO:/lib/x.so" ] || fail 'LD_PRELOAD not kept'

# The program inherits the descriptors that it would have without us, no more.
ls /proc/self/fd >plain
try 0 "$FREEHOLD" run -q -- ls /proc/self/fd
cmp -s plain out || fail 'the program inherits other descriptors'

# A stream that is closed stays closed, and is not taken for a file of ours.
try 1 sh -c '"$FREEHOLD" run -- readlink /proc/self/fd/2 2>&-'
silent out
try 0 sh -c '"$FREEHOLD" run -q -- sh -c "echo out; echo err >&2" <&- '
says out out
says err err

# A library that did not take effect is said loudly, and fails unless the program did.
export STANDIN=silent
try 125 "$FREEHOLD" run -q -- true
says err 'true did NOT run on Freehold'
try 3 "$FREEHOLD" run -- sh -c 'exit 3'
says err 'sh did NOT run on Freehold'

# Numbers that a damaged process left do not damage us, and do not steer the terminal.
export STANDIN=broken
try 0 "$FREEHOLD" run -- true
says err 'freehold: true: '
says_not err "$(printf '\033')"
try 0 "$FREEHOLD" run --json all.json -- true
finish
