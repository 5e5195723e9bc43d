/* Line by line: what begins like an address opens an area, a field belongs to the last one opened. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "smaps.h"

static bool grow(void **list, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) return true;
    size_t more = *capacity ? *capacity * 2 : 256;
    void *grown = reallocarray(*list, more, size);
    if (!grown) return false;
    *list = grown;
    *capacity = more;
    return true;
}

/* The name in memory of its own, or of the area before, which often is of the same file. */
static const char *keep_name(struct smaps *s, const char *name)
{
    const char *before = s->count ? s->list[s->count - 1].mapping.path : "";
    if (!*name) return "";
    if (strcmp(before, name) == 0) return before;
    char *copy = strdup(name);
    if (!copy || !grow((void **)&s->names, &s->name_capacity, s->name_count, sizeof *s->names)) {
        free(copy);
        return NULL;
    }
    return s->names[s->name_count++] = copy;
}

static void open_area(struct smaps *s, const char *line, size_t length)
{
    struct area area = {0};
    size_t used;
    char *name = malloc(length + 1);
    bool room = name && grow((void **)&s->list, &s->capacity, s->count, sizeof *s->list);
    if (!room) {
        s->no_memory = true;
    } else if (!maps_line(&area.mapping, line, length, name, &used)) {
        s->malformed++;
    } else {
        area.mapping.path = keep_name(s, name);
        if (area.mapping.path)
            s->list[s->count++] = area;
        else
            s->no_memory = true;
    }
    free(name);
}

static void take_flags(struct area *area, const char *at, const char *end)
{
    for (; end - at >= 2; at += 3) {
        if (memcmp(at, "gd", 2) == 0) area->grows_down = true;
        if (end - at < 3) return;
    }
}

/* Several keys may add up to one field. */
static const struct field {
    const char *key;
    size_t offset;
} fields[] = {
    {"Rss", offsetof(struct area, rss)},
    {"Anonymous", offsetof(struct area, anonymous)},
    {"Shared_Clean", offsetof(struct area, shared)},
    {"Shared_Dirty", offsetof(struct area, shared)},
    {"Swap", offsetof(struct area, swap)},
    {"AnonHugePages", offsetof(struct area, huge)},
    {"Shared_Hugetlb", offsetof(struct area, hugetlb)},
    {"Private_Hugetlb", offsetof(struct area, hugetlb)},
};

static void add_field(struct area *area, const struct field *field, const char *at, const char *end)
{
    uint64_t kilo, bytes, *sum = (uint64_t *)((char *)area + field->offset);
    if (!parse_dec(&at, end, &kilo) || __builtin_mul_overflow(kilo, 1024, &bytes)) return;
    if (__builtin_add_overflow(*sum, bytes, sum)) *sum = UINT64_MAX;
}

static void take_field(struct smaps *s, const char *line, size_t length)
{
    const char *end = line + length, *colon = memchr(line, ':', length);
    if (!colon || s->count == 0) {
        s->malformed++;
        return;
    }
    struct area *area = &s->list[s->count - 1];
    size_t key = (size_t)(colon - line);
    const char *at = colon + 1;
    while (at < end && *at == ' ') at++;
    if (key == strlen("VmFlags") && memcmp(line, "VmFlags", key) == 0) take_flags(area, at, end);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strlen(fields[i].key) == key && memcmp(line, fields[i].key, key) == 0)
            add_field(area, &fields[i], at, end);
    }
}

void smaps_line(struct smaps *s, const char *line, size_t length)
{
    if (length == 0) return;
    bool field = *line >= 'A' && *line <= 'Z';
    if (field)
        take_field(s, line, length);
    else
        open_area(s, line, length);
}

bool smaps_read(struct smaps *s, pid_t pid)
{
    char path[64], *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    *s = (struct smaps){0};
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    errno = 0;
    while (!s->no_memory && (length = getline(&line, &capacity, file)) > 0) {
        if (line[length - 1] == '\n') length--;
        smaps_line(s, line, (size_t)length);
    }
    bool failed = ferror(file);
    int error = errno;
    free(line);
    fclose(file);
    errno = s->no_memory ? ENOMEM : error;
    return !failed && !s->no_memory;
}

void smaps_finish(struct smaps *s)
{
    for (size_t i = 0; i < s->name_count; i++) free(s->names[i]);
    free(s->names);
    free(s->list);
    *s = (struct smaps){0};
}

size_t smaps_find(const struct smaps *s, uint64_t address)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->list[middle].mapping.end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
