#!/bin/sh
# elf.sh LIBRARY SONAME: what the shared library needs, exports and promises to the loader.
# What could break: a symbol of an inner floor that leaks and collides with the program's own; a second
# library pulled into every process; a malloc that carries a version. The last is silent: the loader
# does not bind a program's malloc@GLIBC_2.2.5 to a malloc@@FREEHOLD_1, and the allocator takes no effect.
set -eu
library=$1 soname=$2
readelf=readelf
bad=0

complain() {
    echo "$1"
    bad=1
}

dynamic=$($readelf -d -W "$library")
symbols=$($readelf --dyn-syms -W "$library" | awk '$5 ~ /GLOBAL|WEAK/ && $7 != "UND" { print $8 }')
headers=$($readelf -l -W "$library")

needed=$(echo "$dynamic" | sed -nE 's/.*\(NEEDED\).*\[(.*)\].*/\1/p')
for name in $needed; do
    case $name in
    libc.so.6 | ld-linux*) ;;
    *) complain "needs $name, but libc only is allowed" ;;
    esac
done
echo "$dynamic" | grep -qF "soname: [$soname]" || complain "soname is not $soname"
echo "$dynamic" | grep -q 'BIND_NOW\|FLAGS_1.*NOW' || complain 'binds lazily'
echo "$dynamic" | grep -q TEXTREL && complain 'has text relocations'
echo "$headers" | grep -q 'GNU_RELRO' || complain 'has no relro segment'
echo "$headers" | grep 'GNU_STACK' | grep -q 'RWE' && complain 'has an executable stack'
$readelf -n "$library" | grep -q 'Build ID' || complain 'has no build id'

# Only the malloc family, the C++ operators, prctl, sigaltstack, the public names and the version.
allowed='malloc|calloc|realloc|reallocarray|free|free_sized|free_aligned_sized|cfree'
allowed="$allowed|aligned_alloc|posix_memalign|memalign|valloc|pvalloc|malloc_usable_size"
allowed="$allowed|mallinfo|mallinfo2|mallopt|malloc_trim|malloc_stats|malloc_info"
allowed="$allowed|__libc_[a-z_]+|_Zn[aw][A-Za-z0-9_]+|_Zd[al][A-Za-z0-9_]+|fh_[a-z0-9_]+|prctl|sigaltstack|FREEHOLD_1"
# Whoever handles faults must not be replaced by a program's own handlers; and clang's allocation tokens.
[ "$soname" = libfreehold.so.1 ] || allowed="$allowed|sigaction|signal|bsd_signal|__sysv_signal|__alloc_token_[A-Za-z0-9_]+"
leaked=$(echo "$symbols" | sed 's/@.*//' | grep -vxE "$allowed" || true)
[ -z "$leaked" ] || complain "exports what is not public: $(echo "$leaked" | tr '\n' ' ')"

for name in malloc free calloc realloc posix_memalign malloc_usable_size _Znwm _ZdlPv; do
    echo "$symbols" | grep -qx "$name" || complain "$name is missing or carries a version, which would not interpose"
done
exit $bad
