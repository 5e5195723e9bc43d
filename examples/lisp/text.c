/* See text.h. */
#include "text.h"

FH_GC_TYPE(string, units)

/* ---- UTF-8 --------------------------------------------------------------------------------------- */

unsigned utf8_encode(uint32_t code, char *to)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(first[more] | code >> 6 * more);
    for (unsigned i = 1; i <= more; i++) to[i] = (char)(0x80 | (code >> 6 * (more - i) & 0x3f));
    return more + 1;
}

unsigned utf8_decode(const char *from, size_t count, uint32_t *code)
{
    uint8_t first = (uint8_t)from[0];
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    *code = first;
    if (more == 0 || first >= 0xf8 || more >= count) return 1;
    uint32_t c = first & (0x3fu >> more);
    for (unsigned i = 1; i <= more; i++) {
        if (((uint8_t)from[i] & 0xc0) != 0x80) return 1;
        c = c << 6 | ((uint8_t)from[i] & 0x3f);
    }
    if (c > 0x10ffff) return 1;
    *code = c;
    return more + 1;
}

/* ---- text that grows ----------------------------------------------------------------------------- */

void text_add(struct text *text, const char *bytes, size_t count)
{
    if (text->count + count > text->capacity) {
        size_t capacity = (text->count + count) * 2 + 32;
        char *grown = allocated(fh_gc_new_bytes(lisp.heap, capacity));
        if (text->count) memcpy(grown, text->bytes, text->count);
        store_object(&text->bytes, grown);
        text->capacity = capacity;
    }
    if (count) memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
}

void text_add_character(struct text *text, uint32_t code)
{
    char bytes[4];
    text_add(text, bytes, utf8_encode(code, bytes));
}

/* ---- strings -------------------------------------------------------------------------------------- */

static void *units_new(size_t length, bool wide)
{
    size_t size = length * (wide ? 4 : 1);
    return allocated(fh_gc_new_bytes(lisp.heap, size ? size : 1));
}

static value string_make(size_t length, bool wide)
{
    if (length > UINT32_MAX) fail("too long a string", fixnum((int64_t)length));
    struct string *string = allocated(fh_gc_new(lisp.heap, string));
    string->head = (struct object){KIND_STRING, wide};
    store_object(&string->units, units_new(length, wide));
    string->length = length;
    return (value)string;
}

/* A string of one-byte units gets four. */
static void string_widen(struct string *string)
{
    uint32_t *units = units_new(string->length, true);
    for (size_t i = 0; i < string->length; i++) units[i] = string_get(string, i);
    store_object(&string->units, units);
    string->head.count = 1;
}

void string_put(value v, size_t at, uint32_t code)
{
    struct string *string = string_of(v);
    if (code > 0xff && !string_is_wide(string)) string_widen(string);
    if (string_is_wide(string)) {
        ((uint32_t *)string->units)[at] = code;
    } else {
        ((uint8_t *)string->units)[at] = (uint8_t)code;
    }
}

value string_new(size_t length, uint32_t fill)
{
    value string = string_make(length, fill > 0xff);
    if (fill <= 0xff) {
        memset(string_of(string)->units, (int)fill, length);
    } else {
        for (size_t i = 0; i < length; i++) string_put(string, i, fill);
    }
    return string;
}

value string_from(const char *utf8, size_t bytes)
{
    size_t length = 0;
    uint32_t code, most = 0;
    for (size_t i = 0; i < bytes; length++) {
        i += utf8_decode(utf8 + i, bytes - i, &code);
        if (code > most) most = code;
    }
    value string = string_make(length, most > 0xff);
    for (size_t i = 0, at = 0; i < bytes;) {
        i += utf8_decode(utf8 + i, bytes - i, &code);
        string_put(string, at++, code);
    }
    return string;
}

/* to[at...] = from[start, end): the two may be one string. */
void string_move(value to, size_t at, value from, size_t start, size_t end)
{
    struct string *t = string_of(to), *f = string_of(from);
    if (string_is_wide(f) && !string_is_wide(t)) string_widen(t);
    if (string_is_wide(f) == string_is_wide(t)) {
        size_t unit = string_is_wide(t) ? 4 : 1;
        memmove((char *)t->units + at * unit, (char *)f->units + start * unit,
                (end - start) * unit);
    } else {
        for (size_t i = start; i < end; i++) string_put(to, at++, string_get(f, i));
    }
}

value string_copy(value string, size_t from, size_t to)
{
    value copy = string_make(to - from, string_is_wide(string_of(string)));
    string_move(copy, 0, string, from, to);
    return copy;
}

void string_text(value v, struct text *text)
{
    struct string *string = string_of(v);
    for (size_t i = 0; i < string->length; i++) text_add_character(text, string_get(string, i));
}

char *string_c(value string)
{
    struct text text = {0};
    string_text(string, &text);
    text_add(&text, "", 1);
    return text.bytes;
}

size_t string_hash(value v)
{
    struct string *string = string_of(v);
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < string->length; i++)
        hash = (hash ^ string_get(string, i)) * 0x100000001b3;
    return hash ^ hash >> 29;
}

int string_compare(value a, value b)
{
    struct string *s = string_of(a), *t = string_of(b);
    for (size_t i = 0; i < s->length && i < t->length; i++) {
        uint32_t x = string_get(s, i), y = string_get(t, i);
        if (x != y) return x < y ? -1 : 1;
    }
    return s->length < t->length ? -1 : s->length > t->length;
}
