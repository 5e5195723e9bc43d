/* Parses /proc/PID/maps line by line; every step checks that it stays in its line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "maps.h"

/* A process may hold 65,530 mappings by default, with paths of 4 KiB each. */
#define MAPS_TEXT_MAX ((size_t)256 << 20)

static bool expect(const char **at, const char *end, char c)
{
    if (*at >= end || **at != c) return false;
    (*at)++;
    return true;
}

static bool parse_permissions(struct mapping *m, const char **at, const char *end)
{
    const char *p = *at;
    if (end - p < 4) return false;
    m->readable = p[0] == 'r';
    m->writable = p[1] == 'w';
    m->executable = p[2] == 'x';
    m->shared = p[3] == 's';
    *at = p + 4;
    return true;
}

/* Everything before the path. */
static bool parse_numbers(struct mapping *m, const char **at, const char *end)
{
    uint64_t device_major, device_minor;
    bool good =
        parse_hex(at, end, &m->start) && expect(at, end, '-') && parse_hex(at, end, &m->end) &&
        expect(at, end, ' ') && parse_permissions(m, at, end) && expect(at, end, ' ') &&
        parse_hex(at, end, &m->offset) && expect(at, end, ' ') &&
        parse_hex(at, end, &device_major) && expect(at, end, ':') &&
        parse_hex(at, end, &device_minor) && expect(at, end, ' ') && parse_dec(at, end, &m->inode);
    if (!good || m->start >= m->end) return false;
    m->device_major = (unsigned)device_major;
    m->device_minor = (unsigned)device_minor;
    return true;
}

/* Copies a path to `to`, with \012 back to the newline that the kernel made it from. */
static size_t unescape(char *to, const char *from, size_t length)
{
    size_t out = 0;
    for (size_t i = 0; i < length; i++) {
        if (length - i >= 4 && memcmp(from + i, "\\012", 4) == 0) {
            to[out++] = '\n';
            i += 3;
        } else {
            to[out++] = from[i];
        }
    }
    return out;
}

/* Takes the rest of the line as the path; its copy at `names` takes no more room than the line. */
static size_t parse_path(struct mapping *m, const char *at, const char *end, char *names)
{
    static const char remark[] = " (deleted)";
    size_t remark_length = sizeof remark - 1;
    while (at < end && *at == ' ') at++;
    size_t length = (size_t)(end - at);
    if (length > remark_length && memcmp(end - remark_length, remark, remark_length) == 0) {
        m->deleted = true;
        length -= remark_length;
    }
    length = unescape(names, at, length);
    names[length] = 0;
    m->path = names;
    return length + 1;
}

bool maps_line(struct mapping *m, const char *line, size_t length, char *names, size_t *used)
{
    const char *at = line, *end = line + length;
    *m = (struct mapping){0};
    if (!parse_numbers(m, &at, end)) return false;
    *used = parse_path(m, at, end, names);
    return true;
}

static size_t count_lines(const char *text, size_t size)
{
    size_t lines = 1;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    return lines;
}

bool maps_parse(struct maps *maps, const char *text, size_t size)
{
    size_t lines = count_lines(text, size);
    *maps = (struct maps){
        .list = calloc(lines, sizeof *maps->list),
        .names = malloc(size + lines + 1), /* each path and its terminator */
    };
    if (!maps->list || !maps->names) return false;
    char *names = maps->names;
    for (const char *line = text, *end = text + size; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end;
        struct mapping m;
        size_t used;
        if (maps_line(&m, line, (size_t)(stop - line), names, &used)) {
            names += used;
            maps->list[maps->count++] = m;
        } else {
            maps->malformed++;
        }
        line = stop + 1;
    }
    return true;
}

bool maps_read(struct maps *maps, pid_t pid)
{
    *maps = (struct maps){0};
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    struct file_text text;
    if (!file_read(&text, path, MAPS_TEXT_MAX)) return false;
    bool done = maps_parse(maps, text.data, text.size);
    free(text.data);
    return done;
}

void maps_finish(struct maps *maps)
{
    free(maps->list);
    free(maps->names);
    *maps = (struct maps){0};
}

const struct mapping *maps_find(const struct maps *maps, uint64_t address)
{
    for (size_t i = 0; i < maps->count; i++) {
        if (address >= maps->list[i].start && address < maps->list[i].end) return &maps->list[i];
    }
    return NULL;
}

bool maps_same_file(const struct mapping *a, const struct mapping *b)
{
    return a->inode == b->inode && a->inode != 0 && a->device_major == b->device_major &&
           a->device_minor == b->device_minor;
}
