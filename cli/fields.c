/* Lines of "key: value", and the two that nearly everybody wants. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "file.h"
#include "human.h"

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

bool field_hex(const char *text, size_t size, const char *key, uint64_t *number)
{
    const char *at;
    ssize_t length = field_find(text, size, key, &at);
    return length >= 0 && parse_hex(&at, at + length, number);
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

uint64_t status_number(pid_t pid, const char *key)
{
    return number_of(pid, "status", key);
}

/* smaps_rollup counts page by page; VmRSS is a sum of counters that may lag by some pages. */
struct resident resident_read(pid_t pid)
{
    struct resident r = {.now = number_of(pid, "smaps_rollup", "Rss")};
    if (r.now == 0) r.now = status_number(pid, "VmRSS");
    r.most = status_number(pid, "VmHWM");
    if (r.most < r.now) r.most = r.now;
    return r;
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static bool has_memory(pid_t task)
{
    return status_number(task, "VmSize") > 0;
}

pid_t task_living(pid_t pid)
{
    char path[64];
    pid_t living = 0;
    if (has_memory(pid) || status_number(pid, "Threads") < 2) return pid;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *entry; tasks && !living && (entry = readdir(tasks));) {
        pid_t task = (pid_t)strtol(entry->d_name, NULL, 10);
        if (task > 0 && has_memory(task)) living = task;
    }
    if (tasks) closedir(tasks);
    return living ? living : pid;
}

void task_name(pid_t pid, char *to, size_t capacity)
{
    char path[64];
    struct file_text text;
    *to = 0;
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    if (!file_read(&text, path, FILE_MAX)) return;
    if (text.size > 0 && text.data[text.size - 1] == '\n') text.data[text.size - 1] = 0;
    if (text.size > 0) human_clean(to, capacity, text.data);
    free(text.data);
}
