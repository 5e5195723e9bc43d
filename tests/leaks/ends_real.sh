#!/bin/sh
# freehold run --leaks on programs that nobody here wrote: they do what they do without it, and are looked into.
. "$(dirname "$0")/lib.sh"

# same PROGRAM ARGS: the same output and status; searched.
same() {
    command -v "$1" >/dev/null || return 0
    "$@" >plain 2>/dev/null
    try $? "$FREEHOLD" run --leaks -q --json all.json -- "$@"
    cmp -s plain out || fail "another output: $*"
    holds all.json "j['leaks']['verdict'] is not None and j['leaks']['damaged'] == 0"
}
nothing() { holds all.json "j['leaks']['totals']['lost']['count'] == 0"; }

same python3 -c 'print(sum(len(str(i)) for i in range(100000)))'
nothing
same python3 -c 'import threading, sys; t = threading.Thread(target=lambda: None); t.start(); t.join(); sys.exit(4)'
same sqlite3 :memory: 'select count(*) from (select value from generate_series(1, 20000))'
nothing
same git -C "$SOURCES" log --oneline -n 5
same perl -e 'my @a = map { { n => $_ } } 1 .. 20000; print scalar(@a), "\n"; exit 5'
same bash -c 'for i in $(seq 100); do x="$x$i"; done; echo "$x"'
echo 'int main(void) { return 0; }' >one.cc
same g++ -c one.cc -o one.o
same ls -l /usr/bin
finish
