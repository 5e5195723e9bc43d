#!/bin/sh
# Real programs under `freehold run --hardened=strict`, which checks calls for writes and reads: what they say is what they
# say without it, and nothing is reported.
# shellcheck disable=SC2016 # what the programs get is theirs
. "$SOURCES/tests/cli/lib.sh"
count=0

# same COMMAND...: its output, error output and status, with and without.
same() {
    command -v "$1" >/dev/null || return 0
    status=0
    "$@" <input >plain.out 2>plain.err || status=$?
    try "$status" timeout 120 "$FREEHOLD" run --hardened=strict -q -- "$@" <input
    cmp plain.out out || fail "$*: another output"
    cmp plain.err err || fail "$*: another error output"
    count=$((count + 1))
}

seq 1 20000 | sed 's/$/ the quick brown fox/' >input
same bash -c 'declare -A a; while read -r n rest; do a[$((n % 997))]+=$rest; done; for i in "${!a[@]}"; do echo "$i ${#a[$i]}"; done'
same perl -e 'my %h; while (<>) { chomp; push @{$h{length $_}}, reverse $_; } print "$_ ", join(",", sort @{$h{$_}}), "\n" for sort keys %h; printf "%.3f %s\n", $_ / 7, sprintf("%x" x 3, $_, $_, $_) for 1..2000'
same perl -e '$| = 1; print "a\n"; system("echo b | cat; wc -l"); print qx(echo c | tr c d)'
same python3 -c 'import sys, json, re, zlib, hashlib; t = sys.stdin.read(); d = {str(i): [i, t[i:i+50]] for i in range(20000)}; j = json.dumps(d); print(hashlib.sha256(zlib.compress(j.encode())).hexdigest(), len(json.loads(j)), len(re.findall(r"[0-9]+ the", t)))'
same sqlite3 :memory: 'create table t(a integer primary key, b text); with recursive c(x) as (select 1 union all select x + 1 from c where x < 20000) insert into t select x, printf("%s-%d", hex(x), x * 7) from c; create index i on t(b); select count(*), sum(length(b)), max(b) from t; select * from t where b like "%99%" order by b desc limit 50; select group_concat(a) from t where a % 100 = 0'
same sort -k 2 -n -r
same awk '{ n[$1 % 101] = n[$1 % 101] $2 } END { for (i in n) print i, length(n[i]) }'
same sed -E 's/(quick) (brown)/\2 \1 &/g'
same gzip -c
same xz -c
same sha256sum
same tar -cf - "$SOURCES/cli"
same git -C "$SOURCES" log --stat -n 40
same git -C "$SOURCES" grep -n hardened
same node -e 'const m = new Map(); for (let i = 0; i < 100000; i++) m.set("k" + i, i); console.log(m.size, JSON.stringify([...m].slice(0, 100)))'
same gcc -O1 -S -o - -I "$SOURCES/src" -I "$SOURCES/include" -D_GNU_SOURCE "$SOURCES/src/base/format.c"
[ "$count" -ge 8 ] || { echo "only $count programs are there"; exit 77; }
finish
