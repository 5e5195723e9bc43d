#!/bin/sh
# freehold run: what cannot run on Freehold is refused with what, why and what to do, and a status
# that tells our failures from the program's.
. "$(dirname "$0")/lib.sh"
export FREEHOLD_LIBRARY="$STANDIN_SO"

# The program.
try 127 "$FREEHOLD" run -- no-such-program
says err "no program 'no-such-program' in PATH"
try 127 "$FREEHOLD" run -- ./no-such-program
try 127 "$FREEHOLD" run -- ''
try 126 "$FREEHOLD" run -- /
says err 'is a directory'
try 126 "$FREEHOLD" run -- /dev/null
says err 'is no regular file'
try 127 "$FREEHOLD" run -- .
says_not err 'say ./'
cp "$PARTS/still" here
try 127 "$FREEHOLD" run -- here
says err 'say ./ before it'
echo 'int x;' >plain
try 126 "$FREEHOLD" run -- ./plain
says err 'may not be executed'
try 125 "$FREEHOLD" run -- "$PARTS/still_static"
says err 'static program'
says err 'libfreehold.a'
try 125 "$FREEHOLD" run -- "$PARTS/still_own_malloc"
says err 'brings its own malloc'
try 125 "$FREEHOLD" run -- "$PARTS/still_asan"
says err 'built with AddressSanitizer'
try 125 "$FREEHOLD" run
says err 'which program?'
try 125 "$FREEHOLD" run --no-such-option -- true

# Scripts are as their interpreters, also behind another script.
printf '#!%s\n' "$PARTS/still_static" >static-script
printf '#! %s/static-script -x\n' "$scratch" >nested-script
printf '#!/no/such/interpreter\n' >lost-script
printf '#!/bin/sh\nexit 5\n' >good-script
printf 'exit 6\n' >bare-script
chmod +x ./*-script
try 125 "$FREEHOLD" run -- ./static-script
says err 'static program'
try 125 "$FREEHOLD" run -- ./nested-script
says err 'static program'
try 127 "$FREEHOLD" run -- ./lost-script
says err '/no/such/interpreter is missing'
try 5 "$FREEHOLD" run -- ./good-script
try 6 "$FREEHOLD" run -- ./bare-script

# Programs for other machines and C libraries, made from a real one by changing what tells them:
# the machine in the header (offset 18), the name of the loader.
cp "$PARTS/still" still
cp still other-machine
printf '\363' | dd of=other-machine bs=1 seek=18 conv=notrunc 2>/dev/null
try 125 "$FREEHOLD" run -- ./other-machine
says err 'it is for 64-bit RISC-V and the library is for'
sed 's,/lib64/ld-linux-,/lib64/ld-musl--,; s,/lib/ld-linux-,/lib/ld-musl--,' still >musl
chmod +x musl
try 125 "$FREEHOLD" run -- ./musl
says err 'another C library'
sed 's,/lib64/ld-linux-,/lib64/ld-xxxxx-,; s,/lib/ld-linux-,/lib/ld-xxxxx-,' still >lost
chmod +x lost
try 127 "$FREEHOLD" run -- ./lost
says err 'is missing'

# Privileged programs: only where running one would change the user, which root cannot be shown.
if [ "$(id -u)" = 0 ]; then
    cp still setgid && chgrp 1 setgid && chmod g+sx setgid
    try 125 "$FREEHOLD" run -- ./setgid
    says err 'is setgid'
    says err 'sudo freehold run'
elif [ -u /usr/bin/passwd ]; then
    try 125 "$FREEHOLD" run -- /usr/bin/passwd --help
    says err 'is setuid'
fi

# The library.
FREEHOLD_LIBRARY=/no/such/lib.so
try 125 "$FREEHOLD" run -- true
says err 'the library /no/such/lib.so is missing'
cp "$STANDIN_SO" 'with space.so'
FREEHOLD_LIBRARY="$scratch/with space.so"
try 125 "$FREEHOLD" run -- true
says err 'a space or a colon'
FREEHOLD_LIBRARY="$PARTS/still"
try 125 "$FREEHOLD" run -- true
says err 'is not libfreehold'

# The command.
try 2 "$FREEHOLD"
try 2 "$FREEHOLD" no-such-command
says err 'no-such-command'
try 0 "$FREEHOLD" --version
grep -q '^freehold [0-9]' out || fail 'no version'
for command in run which doctor; do
    try 0 "$FREEHOLD" $command --help
    says out "Usage: freehold $command"
done
finish
