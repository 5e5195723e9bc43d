#!/bin/sh
# freehold run with the library beside it: the figures are those of a program whose memory is known,
# however it ends.
. "$(dirname "$0")/lib.sh"

# peak COUNT SIZE TRUTH: the peak of live bytes is TRUTH, less by 2 % or 16 KiB at most; and more was
# never held than the most that was.
peak() {
    try 0 "$FREEHOLD" run -q --json all.json -- "$PARTS/take" "$1" "$2" return
    holds all.json "$3 - max($3 * 0.02, 16384) <= j['processes'][0]['peak']['live'] <= $3 * 1.13"
    holds all.json "all(p['peak_held'] >= max(p['peak']['total'], p['last']['total']) for p in j['processes'])"
}

peak 1 500000000 500000000
peak 1 8000000 8000000
peak 2 8000000 16000000
peak 10 8000000 80000000
peak 4 1000000 4000000
peak 1 60000 60000
peak 1000 60000 60000000
peak 100 1000 100000
peak 1000 1000 1000000
peak 300000 100 30000000
peak 1 300000000+ 300000000

# Many threads at once: no thread's block is left out because another was counting.
try 0 "$FREEHOLD" run -q --json all.json -- "$PARTS/take_threads" 32 10000000
holds all.json "j['processes'][0]['peak']['live'] >= 320000000 * 0.98"

# A program that ends as it should is told of without reservation.
try 0 "$FREEHOLD" run --json all.json -- "$PARTS/take" 1000 1000 keep
says err '1.0 k allocations in '
says_not err 'at least'

# One that ends without exit() is not said to have allocated nothing, nor all.
for end in exit:0 kill:137; do
    try ${end#*:} sh -c '"$@"; exit $?' sh "$FREEHOLD" run -- "$PARTS/take" 10 100 ${end%:*}
    says err 'ran on Freehold for '
    says err 'too early to say what it allocated'
    try ${end#*:} sh -c '"$@"; exit $?' sh "$FREEHOLD" run -- "$PARTS/take" 1000 5000 ${end%:*}
    says err 'peak at least 4.'
    says err 'at least 9'
    says err 'it has not ended by exit()'
done
try 0 "$FREEHOLD" run -- "$PARTS/take" 0 0 exit
says err 'too early to say what it allocated'
try 0 "$FREEHOLD" run -- "$PARTS/take" 0 0 return
says err 'allocated nothing'
try 0 "$FREEHOLD" run -- "$PARTS/take" 1 100 return
says err '1 allocation in '
says err '1 block, '

# A child counts from its fork on.
try 0 "$FREEHOLD" run --json all.json -- "$PARTS/take" 1000 1000 fork
holds all.json "sorted(p['allocations'] for p in j['processes']) == [1, 1, 1, 1000]"
holds all.json "sorted(sum(s['allocations'] for s in p['sizes']) for p in j['processes']) == [1, 1, 1, 1000]"
says err '4, 1.0 k allocations together'

# A wrapper that becomes the program, and one that clears the environment.
try 0 "$FREEHOLD" run -- env "$PARTS/take" 1000 1000 return
says err 'freehold: env: as take: peak '
try 0 "$FREEHOLD" run -- env -i "$PARTS/take" 1 1 return
says err 'ended as take, which told nothing'

# A process that forks and executes takes one slot of the 256, not two.
try 0 "$FREEHOLD" run --json all.json -- sh -c 'for i in 1 2 3 4 5; do "$1" 1 100 return; done; :' sh "$PARTS/take"
holds all.json "[p['program'] for p in j['processes']] == ['sh'] + 5 * ['take']"

# With the library linked in as well there are two of it, and one that is used.
try 0 "$FREEHOLD" run -- "$PARTS/take_linked" 1 100 return
says err '1 allocation in '

# What keeps the library from starting is not taken for a loader that did not load it.
try 125 sh -c 'ulimit -v 20000; "$@"' sh "$FREEHOLD" run -- "$PARTS/take" 0 0 return
says err 'cannot reserve address space'
says err 'loaded but did not start'
try 134 sh -c '"$@"; exit $?' sh "$FREEHOLD" run -o nonsense,strict=1 -- "$PARTS/take" 0 0 return
says err "'nonsense' is no option; stopping"
says err 'loaded but did not start'

# The file of the figures does not fit: said, instead of dying of SIGXFSZ.
try 125 sh -c 'ulimit -f 100; "$@"' sh "$FREEHOLD" run -- echo ran
says err 'ulimit -f'
silent out
finish
