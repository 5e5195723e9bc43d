// An interpreter: a small Lisp, read from text into pairs and symbols of the heap and evaluated by walking
// them; scopes, closures and vectors are objects too. What stays is a table of 200,000 lists and a tree of
// closures, 15 deep; a round of the program
//    calls functions (tak, fib): nothing but scopes, which die at once,
//    sorts a list of 3,000 numbers by merging, reverses, appends and searches,
//    replaces some thousand lists of the table: old pairs refer to new ones,
//    replaces branches in the tree of closures, by set! of a variable that a closure has closed over.
// So the collector meets small objects of which nearly all die young, references in every direction, and a
// stack that goes deep. Scripts in games and editors, configuration languages, spreadsheets, Lisps.
#include "workloads/interpreter.h"

#include <stdio.h>

static const char definitions[] =
    "(define tak (lambda (x y z)"
    "  (if (< y x) (tak (tak (- x 1) y z) (tak (- y 1) z x) (tak (- z 1) x y)) z)))"
    "(define fib (lambda (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))))"
    // Lists.
    "(define next (lambda (seed) (remainder (+ (* seed 16807) 11) 65537)))"
    "(define numbers (lambda (n seed list)"
    "  (if (= n 0) list (numbers (- n 1) (next seed) (cons seed list)))))"
    "(define turn (lambda (list onto)"
    "  (if (null? list) onto (turn (cdr list) (cons (car list) onto)))))"
    "(define append (lambda (a b) (if (null? a) b (cons (car a) (append (cdr a) b)))))"
    "(define sum (lambda (list total)"
    "  (if (null? list) total (sum (cdr list) (+ total (car list))))))"
    "(define merge (lambda (a b done)"
    "  (if (null? a) (turn done b)"
    "    (if (null? b) (turn done a)"
    "      (if (< (car b) (car a)) (merge a (cdr b) (cons (car b) done))"
    "        (merge (cdr a) b (cons (car a) done)))))))"
    "(define alternate (lambda (list done)"
    "  (if (null? list) done"
    "    (if (null? (cdr list)) (cons (car list) done)"
    "      (alternate (cdr (cdr list)) (cons (car list) done))))))"
    "(define sort (lambda (list)"
    "  (if (null? list) list"
    "    (if (null? (cdr list)) list"
    "      (merge (sort (alternate list '())) (sort (alternate (cdr list) '())) '())))))"
    "(define sorted? (lambda (list)"
    "  (if (null? list) #t"
    "    (if (null? (cdr list)) #t"
    "      (if (< (car (cdr list)) (car list)) #f (sorted? (cdr list)))))))"
    "(define lists (lambda (n seed)"
    "  (let ((list (numbers n seed '())))"
    "    (let ((sorted (sort list)))"
    "      (if (sorted? sorted)"
    "        (if (= (sum (append sorted (turn list '())) 0) (* 2 (sum list 0))) (car sorted) -1)"
    "        -1)))))"
    // The table: chains of pairs of a key and a list.
    "(define table (make-vector 32768))"
    "(define assoc (lambda (key list)"
    "  (if (null? list) #f (if (= (car (car list)) key) (car list) (assoc key (cdr list))))))"
    "(define entry (lambda (key) (assoc key (vector-ref table (remainder key 32768)))))"
    "(define enter (lambda (key)"
    "  (let ((at (remainder key 32768)))"
    "    (vector-set! table at (cons (cons key (numbers 3 key '())) (vector-ref table at))))))"
    "(define fill (lambda (key) (if (= key 0) 0 (begin (enter key) (fill (- key 1))))))"
    "(define change (lambda (n seed)"
    "  (if (= n 0) seed"
    "    (let ((found (entry (+ 1 (* 3 seed)))))"
    "      (begin"
    "        (set-cdr! found (numbers 3 (car (cdr found)) '()))"
    "        (change (- n 1) (next seed)))))))"
    "(define length (lambda (list n) (if (null? list) n (length (cdr list) (+ n 1)))))"
    "(define entries (lambda (at n)"
    "  (if (= at 32768) n (entries (+ at 1) (+ n (length (vector-ref table at) 0))))))"
    // The tree: a branch counts its leaves when the way is negative, else goes that way and plants anew.
    "(define plant (letrec"
    "  ((leaf (lambda () (lambda (way depth) 1)))"
    "   (branch (lambda (left right)"
    "     (lambda (way depth)"
    "       (if (< way 0) (+ (left way depth) (right way depth))"
    "         (if (= depth 6) (begin (set! left (plant 5)) way)"
    "           ((if (= (remainder way 2) 0) left right) (quotient way 2) (- depth 1)))))))"
    "   (grow (lambda (depth)"
    "     (if (= depth 0) (leaf) (branch (grow (- depth 1)) (grow (- depth 1)))))))"
    "  grow))"
    "(define tree (plant 15))"
    "(define prune (lambda (n seed)"
    "  (if (= n 0) seed (begin (tree seed 15) (prune (- n 1) (next seed))))))"
    // A round: -1 if something went wrong.
    "(define round (lambda (seed)"
    "  (if (= (tak 12 8 4) 5)"
    "    (if (= (fib 16) 987)"
    "      (let ((least (lists 3000 seed)))"
    "        (if (< least 0) -1 (+ least (+ (change 3000 seed) (prune 100 seed)))))"
    "      -1)"
    "    -1)))"
    "(fill 200000)";

enum { ROUNDS = 100, ENTRIES = 200000, LEAVES = 1 << 15 };

static int64_t program_run(const char *text)
{
    value result = NOTHING;
    while (*text) result = value_eval(value_read(&text), NULL);
    return number_of(result);
}

void interpreter_run(struct job *job)
{
    if (BACKEND_BY_HAND) cannot("nobody knows when a scope or a closure dies");
    symbols_make();
    program_run(definitions);
    job_begin(job);
    for (size_t i = job_total(job, ROUNDS); i > 0; i--) {
        char text[32];
        snprintf(text, sizeof text, "(round %zu)", i);
        int64_t result = program_run(text);
        if (result < 0) fail("round %zu: a wrong result", i);
        job->product += (uint64_t)result;
    }
    job_end(job);
    meter_begin(); // the evaluator ticks; what this one sees is not handed over
    if (program_run("(entries 0 0)") != ENTRIES) fail("the table is damaged");
    if (program_run("(tree -1 0)") != LEAVES) fail("the tree of closures is damaged");
}
