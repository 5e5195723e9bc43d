; Hash tables: entries come and go, keys are numbers and strings.
(define table (make-hash-table))
(define window 50000)

(define (step i)
  (hash-table-set! table i (list i (* i 2)))
  (hash-table-set! table (number->string i) i)
  (when (>= i window)
    (hash-table-delete! table (- i window))
    (hash-table-delete! table (number->string (- i window)))))

(define (look i n found)
  (if (= n 0)
      found
      (look (+ i 7919) (- n 1) (if (hash-table-ref/default table (remainder i 400000) #f) (+ found 1) found))))

(do ((i 0 (+ i 1))) ((= i 400000)) (step i))
(display (look 0 500000 0))
(newline)
