; A Mandelbrot set: floating point, nearly no data.
(define (escape cr ci limit)
  (let loop ((zr 0.) (zi 0.) (n 0))
    (let ((r2 (* zr zr)) (i2 (* zi zi)))
      (if (or (= n limit) (> (+ r2 i2) 4.))
          n
          (loop (+ (- r2 i2) cr) (+ (* 2. zr zi) ci) (+ n 1))))))

(define (row y width height limit)
  (let loop ((x 0) (sum 0))
    (if (= x width)
        sum
        (loop (+ x 1)
              (+ sum (escape (- (/ (* 3. x) width) 2.) (- (/ (* 2. y) height) 1.) limit))))))

(define (picture width height limit)
  (let loop ((y 0) (sum 0))
    (if (= y height) sum (loop (+ y 1) (+ sum (row y width height limit))))))

(display (picture 480 320 250))
(newline)
