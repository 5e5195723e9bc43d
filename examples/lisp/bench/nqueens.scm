; How often can n queens stand on a board: many short lists.
(define (one-to n)
  (let loop ((i n) (l '()))
    (if (= i 0) l (loop (- i 1) (cons i l)))))

(define (ok? row distance placed)
  (or (null? placed)
      (and (not (= (car placed) (+ row distance)))
           (not (= (car placed) (- row distance)))
           (ok? row (+ distance 1) (cdr placed)))))

(define (try rows done placed)
  (if (null? rows)
      (if (null? done) 1 0)
      (+ (if (ok? (car rows) 1 placed)
             (try (append (cdr rows) done) '() (cons (car rows) placed))
             0)
         (try (cdr rows) (cons (car rows) done) placed))))

(display (try (one-to 12) '() '()))
(newline)
