; Strings: pieces joined, searched, turned around, made symbols of.
(define (digits n) (number->string n))

(define (join pieces)
  (let loop ((pieces pieces) (out ""))
    (if (null? pieces) out (loop (cdr pieces) (string-append out (car pieces) ",")))))

(define (reverse-string s)
  (list->string (reverse (string->list s))))

(define (count-char s c)
  (let ((n (string-length s)))
    (let loop ((i 0) (count 0))
      (if (= i n) count (loop (+ i 1) (if (char=? (string-ref s i) c) (+ count 1) count))))))

(define (words s)
  (let loop ((chars (string->list s)) (word '()) (out '()))
    (cond ((null? chars) (reverse (cons (list->string (reverse word)) out)))
          ((char=? (car chars) #\,) (loop (cdr chars) '() (cons (list->string (reverse word)) out)))
          (else (loop (cdr chars) (cons (car chars) word) out)))))

(define (numbers from to) (if (= from to) '() (cons (digits from) (numbers (+ from 1) to))))

(define (once n)
  (let* ((text (join (numbers n (+ n 300)))) (back (reverse-string text)))
    (+ (count-char back #\1) (length (words text)) (string-length (substring text 10 100)))))

(display (let loop ((i 0) (sum 0)) (if (= i 4000) sum (loop (+ i 1) (+ sum (once i))))))
(newline)
