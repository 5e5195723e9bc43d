#!/bin/sh
# misuse.sh LIBRARY-FOLDER MISUSE LATE MODULE: what misuse.c and late.c do, and what comes of it: the exit status (134
# SIGABRT, 139 SIGSEGV) and what standard error says.
set -u
folder=$1 misuse=$2 late=$3 module=$4
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
status=0
export LD_LIBRARY_PATH="$folder"

fail() {
    echo "$1"
    head -n 5 "$work/err"
    status=1
}

# try STATUS TEXT COMMAND...; no TEXT: it says nothing at all.
try() {
    wanted=$1 text=$2
    shift 2
    (ulimit -c 0 && exec "$@") >"$work/out" 2>"$work/err"
    got=$?
    [ $got = "$wanted" ] || fail "$*: status $got, not $wanted"
    if [ -n "$text" ]; then
        grep -q "$text" "$work/err" || fail "$*: no '$text'"
    elif [ -s "$work/err" ]; then
        fail "$*: it speaks"
    fi
}

try 0 'roots that a module has added were still there' "$misuse" roots "$module"
try 139 'a mark procedure at 0x[0-9a-f]* (.*misuse.*+0x.*) faulted at 0x1234560, called for the object of [0-9]* bytes at 0x' "$misuse" mark
grep -q 'went on' "$work/err" && fail 'the program went on after its mark procedure'
try 139 'GC_push_other_roots at 0x.* faulted at 0x1234560' "$misuse" push
try 139 'GC_push_other_roots at 0x.* faulted at 0x1234560' env GC_ENABLE_INCREMENTAL=1 "$misuse" push
try 0 '' "$misuse" own
try 0 '' "$misuse" finalize
try 0 'wrote beyond the end of an object of 23 bytes made at .*misuse.c:[0-9]*$' "$misuse" smash
[ "$(grep -c 'wrote beyond' "$work/err")" = 2 ] || fail 'two were overrun, and each is told once'
try 139 'a mark procedure at 0x[0-9a-f]* (in no module: unloaded?) faulted' "$misuse" gone "$module"
try 0 '' "$misuse" fork
try 0 '' "$late" "$folder/libgc.so.1"
try 0 '' "$late" global "$folder/libgc.so.1"

# Ours a second time, through another path: where each has its own variables they get along, with a warning.
mkdir "$work/copy" && cp "$folder/libgc.so.1" "$work/copy/"
try 0 'another libgc is loaded too' "$late" "$folder/libgc.so.1" "$work/copy/libgc.so.1"
try 134 'another libgc was loaded first' "$late" global "$folder/libgc.so.1" "$work/copy/libgc.so.1"
try 134 'another libgc was loaded first' "$misuse" beside "$work/copy/libgc.so.1"

original=$(LD_LIBRARY_PATH='' PATH=$PATH:/sbin:/usr/sbin ldconfig -p | sed -n 's/.*libgc\.so\.1 .*x86-64.* => //p' | head -n 1)
if [ -n "$original" ]; then
    try 134 'another libgc is loaded too' "$misuse" beside "$original"
    try 134 'another libgc was loaded first' "$late" global "$original" "$folder/libgc.so.1"
fi
exit $status
