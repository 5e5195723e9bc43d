#!/bin/sh
# freehold which: the owner of malloc, told by exit status and first line.
. "$(dirname "$0")/lib.sh"

# which STATUS PROGRAM...: asks about the program while it stands still.
which_of() {
    wanted=$1
    shift
    try "$wanted" "$PARTS/hold" "$@" -- "$FREEHOLD" which @
}

which_of 0 env LD_PRELOAD="$STANDIN_SO" "$PARTS/still"
head -n 1 out | grep -q '^still (pid [0-9]*) allocates with Freehold 9.8.7$' || fail 'verdict'
says out '1 live, 1 idle'
says out 'in use      1.0 MiB: 9.4 KiB in slabs, 1.0 MiB in 1 large blocks'
says out 'kept free   128.0 KiB'
says out 'given back  3.0 MiB'
which_of 0 env STANDIN=broken LD_PRELOAD="$STANDIN_SO" "$PARTS/still"
says out 'missing or damaged'
which_of 0 env STANDIN=future LD_PRELOAD="$STANDIN_SO" "$PARTS/still"
says out 'a version this command does not know'

which_of 1 "$PARTS/still"
says out 'allocates with glibc'
says out "the loader's own list"
which_of 1 "$PARTS/still_static"
says out 'allocates with glibc'
says out 'a static program'
strip -o stripped "$PARTS/still_static"
which_of 1 ./stripped
says out 'most likely allocates with glibc'
says out 'message texts only'
which_of 1 "$PARTS/still_own_malloc"
says out 'an allocator this command does not know'
says out 'mixed'

# A wrapper is not the owner.
which_of 1 env LD_PRELOAD="$PARTS/libheaptrack_preload.so" "$PARTS/still"
says out 'allocates with glibc'
says out 'libheaptrack_preload.so (heaptrack)'
which_of 0 env LD_PRELOAD="$PARTS/libheaptrack_preload.so:$STANDIN_SO" "$PARTS/still"

# A static program whose texts say nothing either.
sed 's/malloc(): corrupted top size/xxxxxx(): xxxxxxxxx xxx xxxx/g' stripped >mute
chmod +x mute
which_of 3 ./mute
says out 'does not tell its allocator'

# Preloading that did not happen, and why.
which_of 1 env LD_PRELOAD=/no/such/lib.so "$PARTS/still"
says out 'LD_PRELOAD=/no/such/lib.so did not take effect: there is no such file'
which_of 1 env LD_PRELOAD="$STANDIN_SO" "$PARTS/still_static"
says out 'it has no loader'
cp "$STANDIN_SO" other.so
printf '\363' | dd of=other.so bs=1 seek=18 conv=notrunc 2>/dev/null
which_of 1 env LD_PRELOAD="$scratch/other.so" "$PARTS/still"
says out 'it is for 64-bit RISC-V and the program is'
echo text >text.so
which_of 1 env LD_PRELOAD="$scratch/text.so" "$PARTS/still"
says out 'it is not a library'

# A library that was deleted after it was loaded is known by what is mapped of it.
cp "$STANDIN_SO" gone.so
try 0 "$PARTS/hold" env LD_PRELOAD="$scratch/gone.so" "$PARTS/still" -- \
    sh -c "rm gone.so; exec '$FREEHOLD' which \$1" sh @
says out 'Freehold 9.8.7'
says out 'deleted or replaced since'

# The peers that are installed here.
for peer in jemalloc:libjemalloc.so.2 mimalloc:libmimalloc.so.2 tcmalloc:libtcmalloc_minimal.so.4; do
    library=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n "s|.*[[:space:]]${peer#*:} .*=> ||p" | head -n 1)
    [ -n "$library" ] || continue
    which_of 1 env LD_PRELOAD="$library" "$PARTS/still"
    says out "${peer%%:*}"
    says out 'also there  glibc'
done

# Errors: no such process, one without memory, no number.
try 2 "$FREEHOLD" which 4194305
says err 'no process 4194305'
try 2 "$FREEHOLD" which
try 2 "$FREEHOLD" which 12x
says err 'not a process id'
try 2 "$FREEHOLD" which 1 2
try 2 sh -c '"$FREEHOLD" which self >/dev/full'
says err 'cannot write to standard output'
finish
