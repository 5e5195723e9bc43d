#!/bin/sh
# archive.sh ARCHIVE: what a static link puts into a program's name space. What could break: a name of an
# inner floor that collides with a function or a variable of the program.
set -eu
names=$(nm -g --defined-only "$1" | sed -nE 's/^[0-9a-f]+ [A-Z] //p' | grep -v '^DW\.ref\.')
[ -n "$names" ] || { echo "no names in $1"; exit 1; }
allowed='malloc|calloc|realloc|reallocarray|free|free_sized|free_aligned_sized|cfree'
allowed="$allowed|aligned_alloc|posix_memalign|memalign|valloc|pvalloc|malloc_usable_size"
allowed="$allowed|mallinfo|mallinfo2|mallopt|malloc_trim|malloc_stats|malloc_info"
allowed="$allowed|__libc_[a-z_]+|_Zn[aw][A-Za-z0-9_]+|_Zd[al][A-Za-z0-9_]+|fh_[a-z0-9_]+|prctl|sigaltstack|_ZNSt.*" # inline functions of the C++ runtime
leaked=$(echo "$names" | grep -vxE "$allowed" || true)
[ -z "$leaked" ] || { echo "the archive defines what is not public:" $leaked; exit 1; }
echo "$names" | grep -qx malloc || { echo 'no malloc'; exit 1; }
