/*
 * Text into a buffer that was given, without allocation, locale or stdio: for messages that are
 * written from inside malloc, from signal handlers and from the last line before abort.
 *
 *     struct text t = TEXT(buffer);
 *     text_str(&t, "span of "); text_size(&t, n); text_end(&t);
 *
 * A text that does not fit is cut, never overrun; `length` is what was written.
 */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

#include "base/base.h"

struct text {
    char *at;
    size_t length;
    size_t capacity;
};

#define TEXT(array) ((struct text){(array), 0, sizeof(array)})

void text_char(struct text *t, char c);
void text_str(struct text *t, const char *s);
void text_strn(struct text *t, const char *s, size_t n);
void text_dec(struct text *t, uint64_t n);
void text_hex(struct text *t, uint64_t n); /* with 0x */
/* Bytes as a person reads them: 17, 4.0 KiB, 1.3 GiB. */
void text_size(struct text *t, uint64_t bytes);
/* Bytes as options take them, exactly: 17, 64K, 16T. */
void text_size_exact(struct text *t, uint64_t bytes);
/* Makes it a string, for which the last character of a text that was cut has to go. */
void text_end(struct text *t);

#endif
