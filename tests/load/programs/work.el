;;; work.el --- many kinds of work for emacs  -*- lexical-binding: t -*-
;; SPDX-License-Identifier: BSD-3-Clause
(require 'cl-lib)
(require 'calc)
(require 'subr-x)
(let ((table (make-hash-table :test 'equal)))
  (dotimes (i 50000)
    (puthash (format "key %d" (% (* i 7919) 10007)) (make-string (% i 100) ?x) table))
  (let ((keys (sort (hash-table-keys table) #'string<)))
    (princ (format "%d %s\n" (length keys)
                   (secure-hash 'sha256 (mapconcat #'identity keys ","))))))
(with-temp-buffer
  (dotimes (i 20000) (insert (format "line %d of many: %s\n" i (number-to-string (* i i)))))
  (goto-char (point-min))
  (while (re-search-forward "\\([0-9]+\\) of" nil t) (replace-match "<\\1>"))
  (sort-lines t (point-min) (point-max))
  (princ (format "%d %s\n" (buffer-size) (secure-hash 'sha1 (current-buffer))))
  (buffer-enable-undo)
  (erase-buffer)
  (primitive-undo 1 buffer-undo-list)
  (princ (format "%d\n" (count-lines (point-min) (point-max))))
  (insert (propertize "coloured" 'face 'bold))
  (write-region nil nil "text" nil 'quiet))
(princ (format "%s\n" (calc-eval "fact(50)")))
(princ (format "%S\n" (cl-loop for i from 1 to 20 collect (cl-reduce #'+ (number-sequence 1 i)))))
(write-region ";; -*- lexical-binding: t -*-
(defun made (n) (let ((x (* n 2))) (list x (lambda () x))))\n"
              nil "made.el" nil 'quiet)
(princ (format "%s\n" (byte-compile-file "made.el")))
(load (expand-file-name "made.elc") nil t)
(princ (format "%d\n" (cl-loop for i from 1 to 5000 sum (funcall (cadr (made i))))))
(princ (json-serialize '(:a [1 2 3] :b "text")))
(princ (shell-command-to-string "echo; echo from a shell | tr a-z A-Z"))
(let ((made (make-process :name "sort" :command '("sort" "-n") :noquery t
                          :connection-type 'pipe :sentinel #'ignore
                          :buffer (generate-new-buffer "sorted"))))
  (process-send-string
   made (mapconcat #'number-to-string (number-sequence 500 1 -1) "\n"))
  (process-send-eof made)
  (while (accept-process-output made 5))
  (princ (secure-hash 'md5 (process-buffer made))))
(dotimes (_ 20) (make-list 100000 'x) (garbage-collect))
(princ "\n")
