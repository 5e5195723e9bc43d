; (test expression ...) writes each expression and its value; an error is a value too.
(define-macro (test . expressions)
  (cons 'begin
        (map (lambda (expression)
               `(test-write ',expression
                            (lambda ()
                              (catch-errors (lambda () ,expression)
                                            (lambda (e)
                                              (if (error-object? e)
                                                  (list 'error (error-object->string e))
                                                  (list 'raised e)))))))
             expressions)))

(define (test-write expression thunk)
  (let ((value (thunk)))
    (write expression)
    (display " => ")
    (write value)
    (newline)))
