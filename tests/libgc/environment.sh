#!/bin/sh
# environment.sh LIBRARY-FOLDER SETTINGS TREE: every variable of the original's environment is obeyed, or answered with
# a line; and docs/libgc.md names each.
set -u
folder=$1 settings=$2 tree=$3
list=$(dirname "$0")/environment.txt
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
status=0
export LD_LIBRARY_PATH="$folder"

fail() {
    echo "$1"
    head -n 4 "$work/out" "$work/err"
    status=1
}

# with NAME=VALUE...: runs the program; standard output and error are in out and err.
with() {
    env "$@" "$settings" >"$work/out" 2>"$work/err" || fail "$*: status $?"
}

# The value of a number that the program says.
number() {
    sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" "$work/out"
}

is() {
    [ "$(number "$1")" "$2" "$3" ] || fail "$name: $1 is $(number "$1"), not $2 $3"
}

says() {
    grep -q "$1" "$work/err" || fail "$name: no '$1'"
}

with GC_NOTHING=1
name='without any'
is collections -gt 1
is large = 1
is disabled = 0
[ "$(cat "$work/err")" = 'from the program' ] || fail 'something is said without a variable'

effect() {
    case $1 in
    GC_INITIAL_HEAP_SIZE) is collections = 0 ;;
    GC_MAXIMUM_HEAP_SIZE) is large = 0 ;;
    GC_PRINT_STATS) says 'collection 1 stopped all for [0-9]* us: live' ;;
    GC_PRINT_VERBOSE_STATS) says 'collection 1 stopped' && says '^allocated ever' ;;
    GC_DUMP_REGULARLY) says '^live at the last collection' ;;
    GC_PRINT_ADDRESS_MAP) says '\[stack\]' ;;
    GC_NPROCS | GC_MARKERS) is parallel = 0 ;;
    GC_FORCE_UNMAP_ON_GCOLLECT) is heap -lt 3 ;;
    GC_FIND_LEAK) is leak = 1 && says 'Found [0-9]* leaked objects' ;;
    GC_ALL_INTERIOR_POINTERS) is object = 32 ;;
    GC_ENABLE_INCREMENTAL) is incremental -ge 0 ;; # 1 where the kernel can
    GC_DISABLE_INCREMENTAL)
        with GC_DISABLE_INCREMENTAL=1 GC_ENABLE_INCREMENTAL=1
        is incremental = 0
        ;;
    GC_DONT_GC) is collections = 0 && is disabled = 1 ;;
    GC_LOG_FILE)
        with GC_LOG_FILE="$work/log" GC_PRINT_STATS=1
        grep -q 'collection 1 stopped' "$work/log" || fail 'GC_LOG_FILE has no line'
        grep -q 'from the program' "$work/log" || fail 'GC_LOG_FILE has not what is printed'
        with GC_LOG_FILE="$work/log2" GC_PRINT_STATS=1 GC_ONLY_LOG_TO_FILE=1
        grep -q 'from the program' "$work/log2" && fail 'GC_ONLY_LOG_TO_FILE: other lines are in the file'
        says 'from the program'
        with GC_LOG_FILE=/nonexistent/log
        says 'GC_LOG_FILE names a file that cannot be opened'
        ;;
    *) fail "$1 has no check" ;;
    esac
}

grep -v '^#' "$list" >"$work/list"
while read -r name value held; do
    with "$name=$value"
    lines=$(grep -c "libgc: $name" "$work/err")
    case $held in
    effect) effect "$name" ;;
    line) [ "$lines" = 1 ] || fail "$name=$value: $lines lines about it" ;;
    quiet) [ "$lines" = 0 ] || fail "$name=$value: $lines lines about it" ;;
    esac
    grep -q "\`$name\`" "$tree/docs/libgc.md" || fail "docs/libgc.md does not name $name"
done <"$work/list"

name=GC_INITIAL_HEAP_SIZE
with GC_INITIAL_HEAP_SIZE=many
says 'GC_INITIAL_HEAP_SIZE is no number'
name=GC_UNMAP_THRESHOLD
with GC_UNMAP_THRESHOLD=0
grep -q UNMAP "$work/err" && fail 'GC_UNMAP_THRESHOLD=0 is not obeyed'

# What the original's own library reads, as installed here.
original=$(LD_LIBRARY_PATH='' PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/.*libgc\.so\.1 .*x86-64.* => //p' | head -n 1)
[ -z "$original" ] || grep -ao 'GC_[A-Z_]*' "$original" | sort -u | grep -E '^GC_[A-Z]{2,}(_[A-Z]+)*$' >"$work/read"
[ -z "$original" ] || while read -r name; do
    grep -q "^$name " "$work/list" || echo "$name"
done <"$work/read" >"$work/unlisted"
[ -z "$original" ] || [ ! -s "$work/unlisted" ] || fail "the original reads: $(tr '\n' ' ' <"$work/unlisted")"
exit $status
