/*
 * Strings inside: units of one byte (Latin-1) or four, so that string-ref takes constant time and most
 * strings take a byte for each character. Outside, and in ports, text is UTF-8.
 */
#ifndef LISP_TEXT_H
#define LISP_TEXT_H

#include "value.h"

/* UTF-8 that grows, in the heap. The struct lies on the C stack or in a traced object. */
struct text {
    char *bytes;
    size_t count, capacity;
};

void text_add(struct text *text, const char *bytes, size_t count);
void text_add_character(struct text *text, uint32_t code);

/* Writes up to 4 bytes and returns how many. */
unsigned utf8_encode(uint32_t code, char *to);
/* Reads one character; what is not UTF-8 stands for itself, byte by byte. Returns the bytes read. */
unsigned utf8_decode(const char *from, size_t count, uint32_t *code);

value string_new(size_t length, uint32_t fill);
value string_from(const char *utf8, size_t bytes);
value string_copy(value string, size_t from, size_t to);
void string_move(value to, size_t at, value from, size_t start, size_t end);
void string_text(value string, struct text *text);
/* A C string, in the heap. */
char *string_c(value string);
size_t string_hash(value string);
int string_compare(value a, value b);
void string_put(value string, size_t at, uint32_t code);

static inline bool string_is_wide(const struct string *s)
{
    return s->head.count != 0;
}

static inline uint32_t string_get(const struct string *s, size_t at)
{
    return string_is_wide(s) ? ((const uint32_t *)s->units)[at] : ((const uint8_t *)s->units)[at];
}

#endif
