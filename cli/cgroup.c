/* Reads the group from /proc/self/cgroup, its mount from mountinfo, and walks up from there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "file.h"

/* Whether `word` is one of the comma-separated words of a list. */
static bool list_has(const char *list, size_t length, const char *word)
{
    size_t wanted = strlen(word);
    const char *end = list + length;
    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma ? comma : end;
        if ((size_t)(stop - list) == wanted && memcmp(list, word, wanted) == 0) return true;
        list = stop + 1;
    }
    return false;
}

/* Lines of "4:memory:/path" (version 1) and "0::/path" (version 2). */
int cgroup_of(const char *proc_cgroup, char *path, unsigned capacity)
{
    int version = 0;
    for (const char *line = proc_cgroup; *line;) {
        size_t length = strcspn(line, "\n");
        const char *first = memchr(line, ':', length);
        const char *second =
            first ? memchr(first + 1, ':', length - (size_t)(first + 1 - line)) : NULL;
        bool two = first && second == first + 1 && line[0] == '0';
        bool one = second && list_has(first + 1, (size_t)(second - first - 1), "memory");
        if (one || (two && version == 0)) {
            snprintf(path, capacity, "%.*s", (int)(length - (size_t)(second + 1 - line)),
                     second + 1);
            version = one ? 1 : 2;
        }
        line += length + (line[length] != 0);
    }
    return version;
}

/* "36 35 98:0 ROOT AT options optional-fields - TYPE source SUPER-OPTIONS" */
static bool parse_mount(char *line, int version, char **root, char **at)
{
    char *save, *word = strtok_r(line, " ", &save);
    for (int i = 0; word && i < 5; i++) {
        if (i == 3) *root = word;
        if (i == 4) *at = word;
        word = strtok_r(NULL, " ", &save);
    }
    while (word && strcmp(word, "-") != 0) word = strtok_r(NULL, " ", &save);
    char *type = strtok_r(NULL, " ", &save), *source = type ? strtok_r(NULL, " ", &save) : NULL;
    char *options = source ? strtok_r(NULL, " ", &save) : NULL;
    if (!word || !options) return false;
    if (version == 2) return strcmp(type, "cgroup2") == 0;
    return strcmp(type, "cgroup") == 0 && list_has(options, strlen(options), "memory");
}

bool cgroup_mount(const char *mountinfo, int version, char *root, char *at, unsigned capacity)
{
    for (const char *start = mountinfo; *start;) {
        char line[4096], *found_root = NULL, *found_at = NULL;
        size_t length = strcspn(start, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, start);
        if (parse_mount(line, version, &found_root, &found_at)) {
            snprintf(root, capacity, "%s", found_root);
            snprintf(at, capacity, "%s", found_at);
            return true;
        }
        start += length + (start[length] != 0);
    }
    return false;
}

/* A limit: "max", or what version 1 writes for none, is CGROUP_UNLIMITED. */
static uint64_t read_limit(const char *directory, const char *name)
{
    char path[1200];
    int64_t number;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (!file_number(path, &number) || number < 0 || number >= (int64_t)1 << 62)
        return CGROUP_UNLIMITED;
    return (uint64_t)number;
}

static uint64_t read_use(const char *directory, int version)
{
    uint64_t used =
        read_limit(directory, version == 2 ? "memory.current" : "memory.usage_in_bytes");
    return used == CGROUP_UNLIMITED ? 0 : used;
}

static void take_limits(struct cgroup_memory *c, const char *directory)
{
    bool two = c->version == 2;
    uint64_t limit = read_limit(directory, two ? "memory.max" : "memory.limit_in_bytes");
    if (limit < c->limit) {
        c->limit = limit;
        c->used = read_use(directory, c->version);
        snprintf(c->holder, sizeof c->holder, "%s", directory);
    }
    if (!two) return;
    uint64_t high = read_limit(directory, "memory.high");
    uint64_t swap = read_limit(directory, "memory.swap.max");
    if (high < c->high) {
        c->high = high;
        c->high_used = read_use(directory, 2);
    }
    if (swap < c->swap_limit) c->swap_limit = swap;
}

/* memory.events: "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n" */
static uint64_t read_kills(const char *directory)
{
    char path[1200];
    struct file_text text;
    uint64_t kills = 0;
    snprintf(path, sizeof path, "%s/memory.events", directory);
    if (!file_read(&text, path, 4096)) return 0;
    const char *found = strstr(text.data, "oom_kill ");
    if (found) kills = strtoull(found + strlen("oom_kill "), NULL, 10);
    free(text.data);
    return kills;
}

/* The group's directory: the mount point, and the group's path from the mount's root on. In a group
 * namespace the path is relative already; "/../.." means that the group lies outside what is seen. */
static void directory_of(const char *group, const char *root, const char *at, char *directory,
                         size_t capacity)
{
    size_t shared = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *below = strncmp(group, root, shared) == 0 ? group + shared : "";
    if (strcmp(below, "/") == 0 || strncmp(below, "/..", 3) == 0) below = "";
    snprintf(directory, capacity, "%s%s", at, below);
}

static bool find_directory(struct cgroup_memory *c, char *at, char *directory, size_t capacity)
{
    struct file_text groups, mounts = {0};
    char root[512];
    if (!file_read(&groups, "/proc/self/cgroup", 1 << 16)) return false;
    c->version = cgroup_of(groups.data, c->group, sizeof c->group);
    bool found = c->version && file_read(&mounts, "/proc/self/mountinfo", 4 << 20) &&
                 cgroup_mount(mounts.data, c->version, root, at, sizeof root);
    if (found) directory_of(c->group, root, at, directory, capacity);
    free(groups.data);
    free(mounts.data);
    return found;
}

void cgroup_memory_read(struct cgroup_memory *c)
{
    char at[512] = "", directory[1100];
    *c = (struct cgroup_memory){
        .limit = CGROUP_UNLIMITED, .high = CGROUP_UNLIMITED, .swap_limit = CGROUP_UNLIMITED};
    if (!find_directory(c, at, directory, sizeof directory)) {
        c->version = 0;
        return;
    }
    c->used = read_use(directory, c->version);
    c->kills = c->version == 2 ? read_kills(directory) : 0;
    for (size_t end = strlen(at); strlen(directory) >= end;) {
        take_limits(c, directory);
        char *slash = strrchr(directory + end, '/');
        if (!slash) break;
        *slash = 0;
    }
}
