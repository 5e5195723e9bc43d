;;; What ecl asks of the collector: conses, strings, hash tables, arrays, bignums, the compiler's closures, finalizers,
;;; weak tables and threads.
(defun tree (depth) (if (= depth 0) nil (cons (tree (1- depth)) (tree (1- depth)))))
(defun nodes (tree) (if (consp tree) (+ 1 (nodes (car tree)) (nodes (cdr tree))) 0))
(defvar *kept* (tree 14))
(format t "trees ~a~%" (loop for i below 20 sum (nodes (tree 11))))
(format t "digits ~a~%" (length (format nil "~a" (loop with f = 1 for i from 1 to 1000 do (setf f (* f i)) finally (return f)))))
(let ((table (make-hash-table :test 'equal)))
  (dotimes (i 20000) (setf (gethash (format nil "~a" i) table) (list i)))
  (format t "table ~a~%" (loop for v being the hash-values of table sum (car v))))
(let ((array (make-array 500000 :initial-element 3)))
  (ext:gc t)
  (format t "array ~a~%" (reduce #'+ array)))
(defvar *finalized* 0)
(defun drop () (dotimes (i 500) (ext:set-finalizer (list i) (lambda (y) (declare (ignore y)) (incf *finalized*)))))
(drop)
(dotimes (i 5) (ext:gc t) (tree 10))
(format t "finalized ~a~%" (> *finalized* 400))
#+threads
(let ((threads (loop for i below 3 collect
                     (mp:process-run-function 'worker (lambda () (loop for k below 20 sum (nodes (tree 10))))))))
  (format t "threads ~a~%" (mapcar (lambda (p) (mp:process-join p)) threads)))
(format t "kept ~a~%" (nodes *kept*))
(ext:quit 0)
