;; What guile asks of the collector: lists and strings, bignums, weak tables, guardians, threads, ports, continuations.
(use-modules (ice-9 threads) (srfi srfi-1) (ice-9 rdelim))

(define (tree depth) (if (= depth 0) '() (cons (tree (- depth 1)) (tree (- depth 1)))))
(define (count tree) (if (pair? tree) (+ 1 (count (car tree)) (count (cdr tree))) 0))
(define kept (tree 16))
(define (show . all) (for-each display all) (newline))

(show "trees " (fold + 0 (map (lambda (i) (count (tree 13))) (iota 100))))
(show "kept " (count kept))

(define (factorial n) (if (= n 0) 1 (* n (factorial (- n 1)))))
(show "digits " (string-length (number->string (factorial 2000))))

(define table (make-hash-table))
(do ((i 0 (+ i 1))) ((= i 100000)) (hash-set! table (number->string i) (list i (make-string 20 #\a))))
(show "table " (hash-fold (lambda (k v s) (+ s (car v))) 0 table))

(define weak (make-weak-key-hash-table))
(define keys (map (lambda (i) (list i)) (iota 1000)))
(for-each (lambda (key) (hashq-set! weak key (number->string (car key)))) keys)
(do ((i 0 (+ i 1))) ((= i 1000)) (hashq-set! weak (list i) (make-vector 100 i)))
(gc)
(gc)
(show "weak " (every (lambda (key) (string=? (hashq-ref weak key) (number->string (car key)))) keys))
(show "dropped " (< (hash-fold (lambda (key value n) (+ n 1)) 0 weak) 1200))

(define guardian (make-guardian))
(do ((i 0 (+ i 1))) ((= i 1000)) (guardian (list i "guarded")))
(gc)
(gc)
(define (drain n) (let ((x (guardian))) (if x (drain (+ n 1)) n)))
(show "guardian " (> (drain 0) 900))

(define threads
  (map (lambda (i) (call-with-new-thread (lambda () (fold + 0 (map (lambda (k) (count (tree 11))) (iota 50))))))
       (iota 4)))
(show "threads " (map join-thread threads))
(show "parallel " (apply + (par-map (lambda (i) (count (tree 12))) (iota 20))))

(define text (call-with-output-string (lambda (port) (do ((i 0 (+ i 1))) ((= i 20000)) (write (list i "x" 'y) port)))))
(show "port " (string-length text))
(define (read-all port) (let loop ((n 0)) (if (eof-object? (read port)) n (loop (+ n 1)))))
(show "read " (call-with-input-string text read-all))

(define (generator)
  (let loop ((i 0) (sum 0))
    (if (= i 20000) sum (loop (+ i 1) (+ sum (call/cc (lambda (k) (if (odd? i) (k i) (- i)))))))))
(show "continuations " (generator))
(show "sorted " (let ((v (sort (map (lambda (i) (modulo (* i 7919) 100003)) (iota 100000)) <))) (list-ref v 50000)))
(show "vector " (let ((v (make-vector 2000000 'x))) (gc) (eq? 'x (vector-ref v 1999999))))
