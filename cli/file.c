/* Reading whole files, and numbers out of text. Nothing here trusts a size that stat told. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

/* Appends from fd until the end or the limit; false on an error. */
static bool file_fill(struct file_text *text, int fd, size_t limit)
{
    size_t capacity = 0;
    while (text->size < limit) {
        if (text->size == capacity) {
            capacity = capacity ? capacity * 2 : 4096;
            char *grown = realloc(text->data, capacity + 1);
            if (!grown) return false;
            text->data = grown;
        }
        size_t room = capacity - text->size;
        size_t want = limit - text->size < room ? limit - text->size : room;
        ssize_t n = read(fd, text->data + text->size, want);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        text->size += (size_t)n;
        text->data[text->size] = 0;
        if (n == 0) return true;
    }
    return true;
}

bool file_read(struct file_text *text, const char *path, size_t limit)
{
    *text = (struct file_text){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return false;
    bool done = file_fill(text, fd, limit);
    int error = errno;
    close(fd);
    if (!done) {
        free(text->data);
        *text = (struct file_text){0};
    }
    errno = error;
    return done;
}

bool file_number(const char *path, int64_t *number)
{
    struct file_text text;
    if (!file_read(&text, path, 4096)) return false;
    char *end = text.data;
    errno = 0;
    long long value = strtoll(text.data, &end, 10);
    bool found = end != text.data && errno == 0;
    if (found) *number = value;
    free(text.data);
    return found;
}

static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a') + 10;
    return 99;
}

static bool parse_base(const char **at, const char *end, unsigned base, uint64_t *number)
{
    const char *s = *at;
    uint64_t value = 0;
    for (; s < end && digit_of(*s) < base; s++) {
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit_of(*s), &value))
            return false;
    }
    if (s == *at) return false;
    *at = s;
    *number = value;
    return true;
}

bool parse_dec(const char **at, const char *end, uint64_t *number)
{
    return parse_base(at, end, 10, number);
}

bool parse_hex(const char **at, const char *end, uint64_t *number)
{
    return parse_base(at, end, 16, number);
}
