; GCBench: trees that live short, medium and long, and a large vector. After Ellis, Kovac and Boehm.
(define stretch-depth 17)
(define long-lived-depth 16)
(define array-size 500000)
(define min-depth 4)
(define max-depth 16)

; A node has two sons and room for two numbers.
(define (make-node left right) (vector left right 0 0))
(define (node-left n) (vector-ref n 0))
(define (set-left! n son) (vector-set! n 0 son))
(define (set-right! n son) (vector-set! n 1 son))

(define (tree-size depth) (- (expt 2 (+ depth 1)) 1))
(define (iterations depth) (quotient (* 2 (tree-size stretch-depth)) (tree-size depth)))

; From the root down: old nodes get references to young ones.
(define (populate depth node)
  (when (> depth 0)
    (set-left! node (make-node #f #f))
    (set-right! node (make-node #f #f))
    (populate (- depth 1) (vector-ref node 0))
    (populate (- depth 1) (vector-ref node 1))))

; From the leaves up.
(define (make-tree depth)
  (if (<= depth 0)
      (make-node #f #f)
      (let* ((left (make-tree (- depth 1))) (right (make-tree (- depth 1))))
        (make-node left right))))

(define (construct depth)
  (do ((i 0 (+ i 1))) ((= i (iterations depth)))
    (populate depth (make-node #f #f)))
  (do ((i 0 (+ i 1))) ((= i (iterations depth)))
    (make-tree depth)))

(make-tree stretch-depth)
(define long-lived (make-node #f #f))
(populate long-lived-depth long-lived)
(define numbers (make-vector array-size 0.0))
(do ((i 1 (+ i 1))) ((= i (quotient array-size 2)))
  (vector-set! numbers i (/ 1.0 i)))
(do ((depth min-depth (+ depth 2))) ((> depth max-depth))
  (construct depth))

(define (count node) (if node (+ 1 (count (vector-ref node 0)) (count (vector-ref node 1))) 0))
(display (= (count long-lived) (tree-size long-lived-depth)))
(display (= (vector-ref numbers 1000) 0.001))
(newline)
