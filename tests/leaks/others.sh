#!/bin/sh
# others.sh musl|jemalloc|mimalloc|tcmalloc: every planted block is found on a heap of this allocator, and
# nothing else, in a process and in its core file; a damaged heap ends in one clear line.
. "$(dirname "$0")/lib.sh"
allocator=$1
plain=

missing() {
    echo "no $1 here: scripts/setup check installs it"
    exit 77
}

# preloaded PROGRAM: a script that runs it with the library.
preloaded() {
    printf '#!/bin/sh\nLD_PRELOAD=%s exec "%s/%s" "$@"\n' "$library" "$PARTS" "$1" >"$1"
    chmod +x "$1"
}

library_of() {
    library=
    for library in /usr/lib/*/"$1" /usr/lib/"$1"; do [ -e "$library" ] && break; done
    [ -e "$library" ] || missing "$1"
    preloaded plant
    preloaded mix
    preloaded busy
    programs='./plant ./mix'
}

# Where musl's compiler stands ready, the programs are built with it, both ways.
musl_programs() {
    command -v musl-gcc >/dev/null || missing musl-gcc
    for name in plant mix busy; do
        flags='-O2 -fno-builtin-malloc -D_GNU_SOURCE -pthread'
        # shellcheck disable=SC2086 # a list of flags
        musl-gcc $flags -o $name "$SOURCES/tests/leaks/$name.c" || exit 99
        # shellcheck disable=SC2086
        musl-gcc $flags -static -s -o ${name}_static "$SOURCES/tests/leaks/$name.c" || exit 99
    done
    programs='./plant ./mix ./plant_static ./mix_static'
}

case $allocator in
musl) musl_programs ;;
jemalloc) library_of libjemalloc.so.2 ;;
mimalloc)
    # In front of an aligned block lies what the allocator left there, also pointers of its own: so a lost
    # one may be missed. What is exact is told without them.
    library_of libmimalloc.so.2.0
    plain=plain
    ;;
tcmalloc) library_of libtcmalloc_minimal.so.4 ;;
*) exit 99 ;;
esac

# judge LOST: all of them in ./out, and nothing else.
judge() {
    # A word that a call has left on a stack may keep one or two.
    holds out "($1 and $1 - 4) <= j['totals']['lost']['count'] + j['totals']['indirectly_lost']['count'] <= $1"
    holds out "all((g['text'] or 'chain').startswith(('planted', 'chain')) for g in j['groups'] if g['kind'] in ('lost', 'indirectly_lost'))"
    holds out "'$allocator' in j['allocator'] and j['damaged'] == 0"
}

found() {
    look 1 "$@" -- --json
    judge "$3"
    holds out "j['totals']['reachable']['count'] >= $2 / 2"
}

for subject in $programs; do
    extra=
    [ "$subject" = ./mix ] && extra=$plain
    # shellcheck disable=SC2086 # a word or none
    found "$subject" 30000 3000 4 $extra
    # shellcheck disable=SC2086
    found "$subject" 10000 1000 1 $extra
    # shellcheck disable=SC2086
    found "$subject" 20000 2000 30 $extra
    look 0 "$subject" 20000 0 3 -- --json
    judge 0
done
if [ -n "$plain" ]; then
    look 1 ./mix 100000 10000 4 -- --json
    holds out "9900 <= sum(j['totals'][k]['count'] for k in ('lost', 'indirectly_lost')) <= 10000"
    holds out "all(not (g['text'] or '').startswith(('live', 'freed')) for g in j['groups'])"
fi
[ "$allocator" = musl ] || { found ./plant 300000 10000 4; }
found ./plant 1000 1000 1 large

# Caught in the middle of a malloc, or of a free: nothing is lost. A look may be refused, not often.
cat >looks <<'END'
for i in 1 2 3 4 5 6 7 8 9 10; do
    "$FREEHOLD" leaks --json "$1" >out.$i 2>err.$i
    status=$?
    [ $status -eq 0 ] || { echo "look $i: $status"; cat out.$i err.$i; }
    case $status in 0) ;; 3) refused=$((refused + 1)) ;; *) exit 1 ;; esac
done
[ "$refused" -le 2 ]
END
export FREEHOLD refused=0
try 0 "$HOLD" ./busy 3 -- sh looks @

command -v gcore >/dev/null || { echo 'no gcore here: cores left out'; finish; exit 0; }
for subject in $programs; do
    rm -f core.*
    extra=
    [ "$subject" = ./mix ] && extra=$plain
    # shellcheck disable=SC2086 # a word or none
    try 0 "$HOLD" "$subject" 20000 1000 3 $extra -- gcore -o core @
    core=$(echo core.*)
    try 1 "$FREEHOLD" leaks --json "$core"
    judge 1000
done

# Words overwritten all over the core: no crash, no hang, and a line if it cannot be told.
for seed in 1 2 3; do
    cp "$core" hostile
    python3 "$(dirname "$0")/damage.py" random $seed hostile
    timeout 100 "$FREEHOLD" leaks hostile >out 2>err
    status=$?
    cases=$((cases + 1))
    [ $status -le 3 ] || fail "status $status with seed $seed"
    [ $status -le 1 ] || [ "$(wc -l <err)" -eq 1 ] || fail 'not one line'
done

# Its own structures, found as the command finds them, made to contradict each other.
cp "$core" hostile
python3 "$(dirname "$0")/damage.py" "$allocator" 1 hostile || fail 'nothing to damage'
try 3 "$FREEHOLD" leaks hostile
says err "$allocator that does not fit"
[ "$(wc -l <err)" -eq 1 ] || fail 'not one line'
finish
