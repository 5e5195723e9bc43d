/*
 * What the black box reads: lines of /proc/self/cgroup, mountinfo and smaps, numbers of a control group, status. The
 * kernel writes them, but groups and mappings have names that anybody chooses. Whatever comes: nothing is read beyond
 * the text, what is copied ends within its room, a name that is printed holds no control character.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "face/oom.h"
#include "kit/expect.h"

static void try_group(const char *text, size_t size)
{
    size_t path;
    int version = cgroup_parse_group(text, size, &path);
    EXPECT(path <= size, "the path begins behind the line");
    EXPECT(version >= 0 && version <= 2, "version %d", version);
    if (version) EXPECT(path < size && text[path] == '/', "no path");
}

static void try_mount(const char *text, size_t size)
{
    char root[CGROUP_PATH], at[CGROUP_PATH];
    for (int version = 1; version <= 2; version++) {
        if (!cgroup_parse_mount(text, size, version, root, at)) continue;
        EXPECT(memchr(root, 0, sizeof root) && memchr(at, 0, sizeof at), "no end");
        EXPECT(root[0] && at[0], "empty");
    }
}

static void try_number(const char *text, size_t size)
{
    uint64_t number = cgroup_parse_number(text, size);
    EXPECT(number == CGROUP_NONE || number < (uint64_t)1 << 62, "too large");
    EXPECT(cgroup_parse_stat(text, size, "inactive_file") < (uint64_t)1 << 62, "too large");
}

/* Line after line, as oom_ledger does it. */
static void try_smaps(const char *text, size_t size)
{
    struct oom_smaps at = {0};
    uint64_t resident;
    for (size_t start = 0; start < size;) {
        const char *end = memchr(text + start, '\n', size - start);
        size_t length = end ? (size_t)(end - text) - start : size - start;
        oom_smaps_parse(&at, text + start, length, &resident);
        EXPECT((unsigned)at.owner < OWNERS, "owner %d", (int)at.owner);
        EXPECT(memchr(at.name, 0, sizeof at.name), "the name has no end");
        for (const char *c = at.name; *c; c++)
            EXPECT((unsigned char)*c >= ' ' && *c != 127, "a control character in a name");
        start += length + 1;
    }
}

static void try_status(const char *text, size_t size)
{
    struct oom_process process;
    oom_process_parse(&process, text, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const char *, size_t) = {try_group, try_mount, try_number,
                                                          try_smaps, try_status};
    if (size == 0) return 0;
    /* A copy of just that size, so that the sanitizer sees one byte too many. */
    char *text = malloc(size);
    EXPECT(text != NULL, "no memory");
    memcpy(text, data + 1, size - 1);
    tries[data[0] % 5](text, size - 1);
    free(text);
    return 0;
}
