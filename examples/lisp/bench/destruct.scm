; Destructive list operations, after Gabriel: stores into lists of every age.
(define (append-to-tail! x y)
  (if (null? x)
      y
      (let loop ((a x) (b (cdr x)))
        (if (null? b)
            (begin (set-cdr! a y) x)
            (loop b (cdr b))))))

(define (fill! l value)
  (do ((l l (cdr l))) ((null? l)) (set-car! l value)))

; Moves the second half of each row behind the row before it.
(define (half-way l)
  (do ((n (quotient (length l) 2) (- n 1)) (l l (cdr l))) ((= n 1) l)))

(define (destructive n m)
  (let ((rows (do ((i 10 (- i 1)) (rows '() (cons '() rows))) ((= i 0) rows))))
    (do ((i n (- i 1))) ((= i 0) rows)
      (if (null? (car rows))
          (do ((l rows (cdr l))) ((null? l))
            (set-car! l (make-row m i)))
          (do ((l1 rows (cdr l1)) (l2 (cdr rows) (cdr l2))) ((null? l2))
            (cut-and-move! l1 l2 i))))))

(define (make-row m i)
  (do ((j m (- j 1)) (row '() (cons i row))) ((= j 0) row)))

(define (cut-and-move! l1 l2 i)
  (let ((row (car l2)))
    (fill! row i)
    (if (or (null? row) (null? (cdr row)))
        (set-car! l2 (make-row 100 i))
        (let* ((middle (half-way row)) (tail (cdr middle)))
          (set-cdr! middle '())
          (set-car! l2 (if (null? tail) (make-row 10 i) tail))
          (set-car! l1 (append-to-tail! (shorten (car l1)) row))))))

; At most so many, anew: the rest is garbage.
(define (shorten l)
  (let loop ((l l) (n 60) (out '()))
    (if (or (null? l) (= n 0)) out (loop (cdr l) (- n 1) (cons (car l) out)))))

(display (length (destructive 60000 100)))
(newline)
