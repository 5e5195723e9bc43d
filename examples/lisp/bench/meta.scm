; An interpreter in the interpreter: environments as association lists, closures as vectors.
(define (lookup name env)
  (let ((entry (assq name env)))
    (if entry (cdr entry) (error "no such variable" name))))

(define (evaluate form env)
  (cond ((symbol? form) (lookup form env))
        ((not (pair? form)) form)
        (else
         (case (car form)
           ((quote) (cadr form))
           ((if) (if (evaluate (cadr form) env)
                     (evaluate (caddr form) env)
                     (evaluate (cadddr form) env)))
           ((lambda) (vector 'closure (cadr form) (caddr form) env))
           ((letrec) (evaluate-letrec (cadr form) (caddr form) env))
           (else (call (evaluate (car form) env) (evaluate-list (cdr form) env)))))))

(define (evaluate-list forms env)
  (if (null? forms)
      '()
      (let ((first (evaluate (car forms) env)))
        (cons first (evaluate-list (cdr forms) env)))))

(define (bind names values env)
  (if (null? names) env (cons (cons (car names) (car values)) (bind (cdr names) (cdr values) env))))

(define (evaluate-letrec bindings body env)
  (let ((inner (bind (map car bindings) (map (lambda (b) #f) bindings) env)))
    (for-each (lambda (b) (set-cdr! (assq (car b) inner) (evaluate (cadr b) inner))) bindings)
    (evaluate body inner)))

(define (call f arguments)
  (if (procedure? f)
      (apply f arguments)
      (evaluate (vector-ref f 2) (bind (vector-ref f 1) arguments (vector-ref f 3)))))

(define primitives
  (list (cons '+ +) (cons '- -) (cons '< <) (cons '= =) (cons 'cons cons) (cons 'car car)
        (cons 'cdr cdr) (cons 'null? null?) (cons 'append append)))

(define fib
  '(letrec ((fib (lambda (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))))) (fib 26)))

(define tree
  '(letrec ((make (lambda (n) (if (= n 0) '() (cons (make (- n 1)) (make (- n 1))))))
            (count (lambda (t) (if (null? t) 1 (+ (count (car t)) (count (cdr t)))))))
     (count (make 17))))

(display (evaluate fib primitives))
(newline)
(display (evaluate tree primitives))
(newline)
