; A cache with weak keys: most keys die, some stay for a while. Not in other Schemes by this name.
(define cache (make-weak-hash-table))
(define recent (make-vector 5000 #f))

(define (step i)
  (let ((key (vector i)))
    (hash-table-set! cache key (list key i))
    (vector-set! recent (remainder i 5000) key)))

(define (all-there?)
  (let loop ((i 0))
    (cond ((= i 5000) #t)
          ((eq? (car (hash-table-ref cache (vector-ref recent i))) (vector-ref recent i)) (loop (+ i 1)))
          (else #f))))

(do ((i 0 (+ i 1))) ((= i 600000)) (step i))
(display (all-there?))
(newline)
