/* Lines of "key: value", and the two that nearly everybody wants. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "file.h"

enum { FILE_MAX = 1 << 16 };

/* The value of this line if it has the key; else NULL. */
static const char *line_value(const char *line, const char *end, const char *key)
{
    size_t length = strlen(key);
    if ((size_t)(end - line) <= length || memcmp(line, key, length) != 0 || line[length] != ':')
        return NULL;
    const char *at = line + length + 1;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    return at;
}

ssize_t field_find(const char *text, size_t size, const char *key, const char **value)
{
    for (const char *line = text, *end = text + size; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end;
        *value = line_value(line, stop, key);
        if (*value) return stop - *value;
        line = stop + 1;
    }
    return -1;
}

bool field_number(const char *text, size_t size, const char *key, uint64_t *number)
{
    const char *at;
    ssize_t length = field_find(text, size, key, &at);
    if (length < 0) return false;
    const char *end = at + length;
    if (!parse_dec(&at, end, number)) return false;
    bool kilo = end - at >= 3 && memcmp(at, " kB", 3) == 0;
    return !kilo || !__builtin_mul_overflow(*number, 1024, number);
}

static uint64_t number_of(pid_t pid, const char *file, const char *key)
{
    char path[64];
    struct file_text text;
    uint64_t number = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    if (!file_read(&text, path, FILE_MAX)) return 0;
    if (!text.data || !field_number(text.data, text.size, key, &number)) number = 0;
    free(text.data);
    return number;
}

/* smaps_rollup counts page by page; VmRSS is a sum of counters that may lag by some pages. */
struct resident resident_read(pid_t pid)
{
    struct resident r = {.now = number_of(pid, "smaps_rollup", "Rss")};
    if (r.now == 0) r.now = number_of(pid, "status", "VmRSS");
    r.most = number_of(pid, "status", "VmHWM");
    if (r.most < r.now) r.most = r.now;
    return r;
}
