/* See base/format.h. */
#include "base/format.h"

void text_char(struct text *t, char c)
{
    if (t->length < t->capacity) t->at[t->length++] = c;
}

void text_str(struct text *t, const char *s)
{
    while (*s) text_char(t, *s++);
}

void text_strn(struct text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) text_char(t, s[i]);
}

void text_end(struct text *t)
{
    t->at[base_min(t->length, t->capacity - 1)] = 0;
}

static void text_base(struct text *t, uint64_t n, unsigned base)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n != 0);
    while (count > 0) text_char(t, digits[--count]);
}

void text_dec(struct text *t, uint64_t n)
{
    text_base(t, n, 10);
}

void text_hex(struct text *t, uint64_t n)
{
    text_str(t, "0x");
    text_base(t, n, 16);
}

void text_size(struct text *t, uint64_t bytes)
{
    static const char unit[] = "KMGTPE";
    if (bytes < KIB) {
        text_dec(t, bytes);
        text_str(t, " B");
        return;
    }
    unsigned power = base_log2(bytes) / 10;
    uint64_t tenths = (bytes >> (10 * power - 10)) * 10 / 1024;
    text_dec(t, tenths / 10);
    text_char(t, '.');
    text_dec(t, tenths % 10);
    text_char(t, ' ');
    text_char(t, unit[power - 1]);
    text_str(t, "iB");
}

void text_size_exact(struct text *t, uint64_t bytes)
{
    static const char unit[] = "KMGT";
    unsigned power = 0;
    for (; power < 4 && bytes != 0 && bytes % KIB == 0; power++) bytes /= KIB;
    text_dec(t, bytes);
    if (power > 0) text_char(t, unit[power - 1]);
}
