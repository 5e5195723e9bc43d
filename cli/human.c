/* Rounding happens before the unit is chosen, so that nothing prints as 1024.0 KiB. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "human.h"

const char *human_bytes(struct human *h, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(h->text, sizeof h->text, "%u B", (unsigned)bytes);
        return h->text;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    /* 1023.95 would be printed as 1024.0 of the smaller unit. */
    for (; value >= 1023.95 && unit + 1 < sizeof units / sizeof *units; unit++) value /= 1024;
    snprintf(h->text, sizeof h->text, "%.1f %s", value, units[unit]);
    return h->text;
}

const char *human_count(struct human *h, uint64_t count)
{
    static const char *const units[] = {"k", "M", "G", "T", "P"};
    if (count < 1000) {
        snprintf(h->text, sizeof h->text, "%u", (unsigned)count);
        return h->text;
    }
    double value = (double)count / 1000;
    size_t unit = 0;
    for (; value >= 999.95 && unit + 1 < sizeof units / sizeof *units; unit++) value /= 1000;
    snprintf(h->text, sizeof h->text, "%.1f %s", value, units[unit]);
    return h->text;
}

const char *human_time(struct human *h, uint64_t ms)
{
    unsigned long long seconds = (ms + 500) / 1000;
    if (ms < 1000)
        snprintf(h->text, sizeof h->text, "%u ms", (unsigned)ms);
    else if (ms < 59950)
        snprintf(h->text, sizeof h->text, "%.1f s", (double)ms / 1000);
    else if (seconds < 3600)
        snprintf(h->text, sizeof h->text, "%llu min %02llu s", seconds / 60, seconds % 60);
    else
        snprintf(h->text, sizeof h->text, "%llu h %02llu min", seconds / 3600, seconds / 60 % 60);
    return h->text;
}

const char *human_exact(struct human *h, uint64_t count)
{
    char digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) h->text[at++] = ',';
        h->text[at++] = digits[i];
    }
    h->text[at] = 0;
    return h->text;
}

unsigned human_percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (unsigned)((double)part * 100 / (double)whole + 0.5);
}

/* 0 for nothing, 1..8 in proportion to the highest. */
static unsigned bar_level(uint64_t value, uint64_t highest)
{
    if (value == 0) return 0;
    unsigned level = (unsigned)((double)value * 8 / (double)highest + 0.5);
    return level == 0 ? 1 : level;
}

void human_bars(char *text, size_t capacity, const uint64_t *values, size_t count, bool utf8)
{
    static const char *const fine[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    uint64_t highest = 1;
    for (size_t i = 0; i < count; i++) {
        if (values[i] > highest) highest = values[i];
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const char *bar = (utf8 ? fine : plain)[bar_level(values[i], highest)];
        size_t length = strlen(bar);
        if (at + length >= capacity) break;
        memcpy(text + at, bar, length);
        at += length;
    }
    text[at] = 0;
}

bool human_utf8(void)
{
    return setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

struct palette palette_for(int fd)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool colours = isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
    if (!colours) return (struct palette){"", "", "", "", "", ""};
    return (struct palette){"\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[1;31m", "\033[0m"};
}

void human_clean(char *to, size_t capacity, const char *from)
{
    size_t at = 0;
    for (; from[at] && at + 1 < capacity; at++) {
        unsigned char c = (unsigned char)from[at];
        to[at] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
    to[at] = 0;
}
