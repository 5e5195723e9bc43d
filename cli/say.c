/* How freehold speaks about itself: one line on stderr, written whole. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static struct {
    char *line; /* NULL: none */
    size_t capacity;
} kept;

void say_into(char *line, size_t capacity)
{
    kept.line = line;
    kept.capacity = capacity;
    if (line) *line = 0;
}

static void say_list(const char *format, va_list arguments)
{
    if (kept.line) {
        if (!*kept.line) vsnprintf(kept.line, kept.capacity, format, arguments);
        return;
    }
    char line[2048] = "freehold: ";
    size_t start = strlen(line);
    /* One byte is kept for the newline: a cut line still ends. */
    int n = vsnprintf(line + start, sizeof line - start - 1, format, arguments);
    if (n < 0) return;
    size_t length = strlen(line);
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* nobody is left to be told that stderr is broken */
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_list(format, arguments);
    va_end(arguments);
}

int refuse(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_list(format, arguments);
    va_end(arguments);
    return status;
}

int output_end(int status)
{
    bool failed = ferror(stdout) | fflush(stdout);
    if (!failed) return status;
    return refuse(STATUS_USAGE, "cannot write to standard output: %s", strerror(errno));
}
