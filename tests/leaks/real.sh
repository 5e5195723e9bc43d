#!/bin/sh
# Programs that nobody here wrote: no lost memory is told of those that have none, and what one of them is
# made to lose is found.
. "$(dirname "$0")/lib.sh"
looked=0

none() {
    look 0 "$@" -- --json
    holds out "j['totals']['lost']['count'] == 0 and j['totals']['reachable']['count'] > 10"
    holds out "j['damaged'] == 0"
    looked=$((looked + 1))
}

cat >calm.py <<'END'
import sys, json, re, collections
data = {i: [str(i), (i, i + 1), {'k': i}] for i in range(20000)}
words = collections.Counter(re.findall('[a-z]+', sys.__doc__ or 'a b c'))
del data[5]
print('ready', flush=True)
sys.stdin.read()
END
cat >leaking.py <<'END'
import ctypes, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for i in range(200):
    libc.memset(ctypes.c_void_p(libc.malloc(3000)), 0x41, 3000)
for i in range(50):
    libc.free(ctypes.c_void_p(libc.malloc(3000)))
print('ready', flush=True)
sys.stdin.read()
END
cat >calm.pl <<'END'
$| = 1; my %h = map { $_ => [1, 2, "x$_"] } 1 .. 50000; delete $h{7}; print "ready\n"; <STDIN>;
END
if command -v python3 >/dev/null; then
    python=$(python3 -c 'import sys; print(sys.executable)')
    none "$python" calm.py
    # A few of the last pointers may still lie in dead places of the interpreter's stack.
    look 1 "$python" leaking.py -- --json
    holds out "190 <= sum(g['count'] for g in j['groups'] if g['kind'] == 'lost' and g['size'] in range(3000, 3009)) <= 200"
    holds out "j['totals']['lost']['count'] <= 200"
fi
if [ -x /usr/bin/perl ]; then none /usr/bin/perl calm.pl; fi

cat >calm.lua <<'END'
t = {} for i = 1, 50000 do t[i] = {i, 'x' .. i} end t[7] = nil print('ready') io.stdout:flush() io.read()
END
cat >calm.tcl <<'END'
for {set i 0} {$i < 50000} {incr i} {set a($i) "v$i"}
puts ready; flush stdout; gets stdin
END
cat >calm.js <<'END'
const a = []; for (let i = 0; i < 50000; i++) a.push({i, s: 'x' + i});
console.log('ready'); process.stdin.resume();
END
if command -v lua >/dev/null; then none lua calm.lua; fi
if command -v tclsh >/dev/null; then none tclsh calm.tcl; fi
if command -v node >/dev/null; then none node calm.js; fi
if command -v bash >/dev/null; then
    printf 'for i in {1..5000}; do a[i]="value $i"; done; echo ready; read x\n' >calm.bash
    none bash calm.bash
fi

# redis-server brings jemalloc, and so is put on Freehold.
if command -v redis-server >/dev/null && command -v redis-cli >/dev/null; then
    LD_PRELOAD=$LIBRARY redis-server --unixsocket "$scratch/redis" --port 0 --save '' >/dev/null 2>&1 &
    server=$!
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        redis-cli -s "$scratch/redis" ping >/dev/null 2>&1 && break
        sleep 0.2
    done
    python3 -c 'for i in range(50000): print(f"SET key:{i} {i * 7919}\r\nLPUSH list:{i % 100} {i}\r\n", end="")' |
        redis-cli -s "$scratch/redis" --pipe >/dev/null 2>&1
    if kill -0 $server 2>/dev/null; then
        try 0 "$FREEHOLD" leaks --json $server
        holds out "j['allocator'] == 'Freehold' and j['totals']['reachable']['count'] > 50000"
        redis-cli -s "$scratch/redis" ping >out 2>err
        says out PONG
        looked=$((looked + 1))
        kill $server
        wait $server
    fi
fi
[ $looked -gt 0 ] || { echo 'none of the programs is here'; exit 77; }
finish
