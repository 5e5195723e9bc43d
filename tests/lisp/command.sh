#!/bin/sh
# The command line of lisp: options, exit status, the terminal's loop over a pipe.
set -u
lisp=$1
status=0

# expect STATUS 'OUTPUT' command...
expect() {
    want_status=$1 want=$2
    shift 2
    got=$("$@" 2>&1)
    got_status=$?
    [ "$got" = "$want" ] && [ "$got_status" = "$want_status" ] && return
    printf '%s\n  wrote: %s\n  status: %s\n' "$*" "$got" "$got_status" >&2
    status=1
}

expect 0 3 "$lisp" -e '(+ 1 2)'
expect 0 '' "$lisp" -e '(define x 1)'
expect 7 '' "$lisp" -e '(exit 7)'
expect 1 '-:1:1: car: not a pair: 5' "$lisp" -e '(car 5)'
expect 1 'no-such.scm: No such file or directory' sh -c '"$1" no-such.scm 2>&1 | sed "s/.*: load: //;s/.*directory: \"\(.*\)\"/\1: No such file or directory/"; exit 1' sh "$lisp"
expect 0 '1
-:2:1: car: not a pair: 5
"x"' sh -c 'printf "(+ 0 1)\n(car 5)\n\"x\"" | "$1"' sh "$lisp"
expect 0 '"out of memory"' "$lisp" --heap 8M -e '(guard (e (#t (error-object-message e))) (let loop ((l (quote ()))) (loop (cons 1 l))))'
expect 1 '-:1:1: out of memory' "$lisp" --heap 8M -e '(let loop ((l (quote ()))) (loop (cons 1 l)))'
expect 0 '"recursion too deep"' "$lisp" --stack 20M -e '(define (f) (+ 1 (f))) (guard (e (#t (error-object-message e))) (f))'
for bad in '--policy none' '--heap 0' '--heap 5x' '--heap -1' '--stress x' '--heap 99999999999999999999' '--fixed' '--none'; do
    # shellcheck disable=SC2086 # an option and its argument
    "$lisp" $bad -e 1 >/dev/null 2>&1
    [ $? = 2 ] || { echo "lisp $bad is not refused" >&2; status=1; }
done
expect 2 'lisp: cannot create the heap: --heap is below 256K, or --markers above 1024' sh -c '"$1" --heap 1 -e 1 2>&1 | head -1; exit 2' sh "$lisp"
"$lisp" --stats -e 1 2>&1 | grep -q '"collections"' || { echo '--stats says nothing' >&2; status=1; }
exit $status
