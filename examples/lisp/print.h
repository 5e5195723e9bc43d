/* Values as text: `write` says strings and characters as the reader wants them, else as they are. */
#ifndef LISP_PRINT_H
#define LISP_PRINT_H

#include "text.h"

void print_value(struct text *text, value v, bool write);

#endif
