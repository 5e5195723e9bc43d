/* For those who make heaps: made_musl.c and its like. */
#ifndef LEAKS_MADE_INSIDE_H
#define LEAKS_MADE_INSIDE_H

#include "made_other.h"

/* Memory with the data of a program in it. */
void made_begin_other(struct made_other *m);

/* More memory; in ascending order of addresses. */
void made_stretch(struct made_other *m, uint64_t start, uint64_t size, bool of_file);

/* What was written is what is there. */
void made_seal(struct made_other *m);

#endif
