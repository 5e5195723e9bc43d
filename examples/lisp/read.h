/* The reader: text from a port to values. */
#ifndef LISP_READ_H
#define LISP_READ_H

#include "port.h"

/* The next datum, or END_OF_FILE. `places`: where each list began is remembered, until the next call
 * that remembers. */
value read_value(struct port *port, bool places);

/* Where the list `v` began, or `otherwise`. */
place place_of(value v, place otherwise);

#endif
