/* os/cgroup.h on Linux. */
#include "os/cgroup.h"

#include <fcntl.h>

#include "base/format.h"
#include "base/syscall.h"
#include "os/os.h"

enum { LEVELS = 16, LINE = 1024 };

const char *cgroup_given;
int cgroup_given_version;

/* ---- text ---------------------------------------------------------------------------------------- */

struct extract {
    const char *at;
    size_t length;
};

static struct extract part_until(struct extract *rest, char stop)
{
    struct extract part = {rest->at, 0};
    while (part.length < rest->length && rest->at[part.length] != stop) part.length++;
    size_t skip = part.length < rest->length ? part.length + 1 : part.length;
    rest->at += skip;
    rest->length -= skip;
    return part;
}

static bool part_is(struct extract part, const char *text)
{
    size_t i = 0;
    while (i < part.length && text[i] && part.at[i] == text[i]) i++;
    return i == part.length && text[i] == 0;
}

static bool list_has(struct extract list, const char *word)
{
    while (list.length)
        if (part_is(part_until(&list, ','), word)) return true;
    return false;
}

/* "4:memory:/path" and "0::/path" */
int cgroup_parse_group(const char *line, size_t length, size_t *path)
{
    struct extract rest = {line, length};
    struct extract number = part_until(&rest, ':'), controllers = part_until(&rest, ':');
    *path = (size_t)(rest.at - line);
    if (rest.length == 0 || rest.at[0] != '/') return 0;
    if (list_has(controllers, "memory")) return 1;
    return part_is(number, "0") && controllers.length == 0 ? 2 : 0;
}

static bool is_octal(struct extract part, size_t at)
{
    for (size_t i = at + 1; i <= at + 3; i++)
        if (i >= part.length || part.at[i] < '0' || part.at[i] > '7') return false;
    return true;
}

static bool unescape(struct extract part, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < part.length; i++) {
        char c = part.at[i];
        if (c == '\\' && is_octal(part, i)) {
            const char *digit = part.at + i + 1;
            c = (char)((digit[0] - '0') << 6 | (digit[1] - '0') << 3 | (digit[2] - '0'));
            i += 3;
        }
        if (n == CGROUP_PATH - 1 || c == 0) return false;
        to[n++] = c;
    }
    to[n] = 0;
    return n > 0;
}

/* "36 35 98:0 ROOT AT options optional-fields - TYPE source SUPER-OPTIONS" */
bool cgroup_parse_mount(const char *line, size_t length, int version, char root[CGROUP_PATH],
                        char at[CGROUP_PATH])
{
    struct extract rest = {line, length}, word[5];
    for (int i = 0; i < 5; i++) word[i] = part_until(&rest, ' ');
    while (rest.length && !part_is(part_until(&rest, ' '), "-")) {
    }
    struct extract type = part_until(&rest, ' ');
    part_until(&rest, ' ');
    if (!part_is(type, version == 2 ? "cgroup2" : "cgroup")) return false;
    if (version == 1 && !list_has(rest, "memory")) return false;
    return unescape(word[3], root) && unescape(word[4], at);
}

uint64_t cgroup_parse_number(const char *text, size_t length)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
        if (n >= (uint64_t)1 << 59) return CGROUP_NONE;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    bool whole = i == length || text[i] == '\n';
    return i > 0 && whole && n < (uint64_t)1 << 62 ? n : CGROUP_NONE;
}

uint64_t cgroup_parse_stat(const char *text, size_t length, const char *name)
{
    struct extract rest = {text, length};
    while (rest.length) {
        struct extract line = part_until(&rest, '\n');
        if (!part_is(part_until(&line, ' '), name)) continue;
        uint64_t number = cgroup_parse_number(line.at, line.length);
        return number == CGROUP_NONE ? 0 : number;
    }
    return 0;
}

/* ---- lines of a file ------------------------------------------------------------------------------- */

/* One buffer, for one thread. A line that does not fit is passed over. */
struct lines {
    int fd;
    size_t start, end;
    bool too_long;
    char buffer[LINE * 4];
};

static bool lines_fill(struct lines *lines)
{
    size_t kept = lines->end - lines->start;
    for (size_t i = 0; i < kept; i++) lines->buffer[i] = lines->buffer[lines->start + i];
    lines->start = 0;
    lines->end = kept;
    if (kept == sizeof lines->buffer) {
        lines->end = 0;
        lines->too_long = true;
    }
    long n = os_file_read(lines->fd, lines->buffer + lines->end, sizeof lines->buffer - lines->end);
    if (n <= 0) return false;
    lines->end += (size_t)n;
    return true;
}

static bool lines_next(struct lines *lines, struct extract *line)
{
    for (;;) {
        size_t end = lines->start;
        while (end < lines->end && lines->buffer[end] != '\n') end++;
        if (end == lines->end) {
            if (!lines_fill(lines)) return false;
            continue;
        }
        *line = (struct extract){lines->buffer + lines->start, end - lines->start};
        lines->start = end + 1;
        if (!lines->too_long) return true;
        lines->too_long = false;
    }
}

static bool lines_open(struct lines *lines, const char *path)
{
    lines->start = lines->end = 0;
    lines->too_long = false;
    lines->fd = os_file_open(path);
    return lines->fd >= 0;
}

/* ---- the group --------------------------------------------------------------------------------------- */

/* Version 1 wins where both are there: only one of them has the memory controller. */
static int find_group(struct lines *lines, char group[CGROUP_PATH])
{
    struct extract line;
    int found = 0;
    if (!lines_open(lines, "/proc/self/cgroup")) return 0;
    while (found != 1 && lines_next(lines, &line)) {
        size_t path;
        int version = cgroup_parse_group(line.at, line.length, &path);
        if (version == 0 || line.length - path >= CGROUP_PATH) continue;
        struct text t = {group, 0, CGROUP_PATH};
        text_strn(&t, line.at + path, line.length - path);
        text_end(&t);
        found = version;
    }
    os_file_close(lines->fd);
    return found;
}

static bool find_mount(struct lines *lines, int version, char root[CGROUP_PATH],
                       char at[CGROUP_PATH])
{
    struct extract line;
    bool found = false;
    if (!lines_open(lines, "/proc/self/mountinfo")) return false;
    while (!found && lines_next(lines, &line))
        found = cgroup_parse_mount(line.at, line.length, version, root, at);
    os_file_close(lines->fd);
    return found;
}

static size_t length_of_text(const char *text)
{
    size_t length = 0;
    while (text[length]) length++;
    return length;
}

/* The part of the group's path that lies below the root of the mount. In a group namespace the path is
 * relative already; "/../.." means that the group lies outside of what is seen. */
static const char *path_below(const char *group, const char *root)
{
    size_t shared = length_of_text(root);
    if (part_is((struct extract){root, shared}, "/")) shared = 0;
    size_t i = 0;
    while (i < shared && group[i] == root[i]) i++;
    const char *below = i == shared ? group + shared : "";
    bool outside = below[0] == '/' && below[1] == '.' && below[2] == '.';
    bool whole = below[0] == '/' && below[1] == 0;
    return outside || whole ? "" : below;
}

static void take_given(struct cgroup *c)
{
    struct text t = TEXT(c->path);
    text_str(&t, cgroup_given);
    text_end(&t);
    c->version = cgroup_given_version;
    c->top = length_of_text(c->path);
}

void cgroup_find(struct cgroup *c)
{
    static struct lines lines; /* not on the small stack of the only thread that asks */
    static char group[CGROUP_PATH], root[CGROUP_PATH], at[CGROUP_PATH];
    c->version = 0;
    if (cgroup_given) {
        take_given(c);
        return;
    }
    int version = find_group(&lines, group);
    if (version == 0 || !find_mount(&lines, version, root, at)) return;
    struct text t = TEXT(c->path);
    text_str(&t, at);
    c->top = t.length;
    text_str(&t, path_below(group, root));
    if (t.length == t.capacity) return;
    text_end(&t);
    c->version = version;
}

/* ---- limits --------------------------------------------------------------------------------------------- */

/* Its contents, cut; bytes, 0 if it cannot be read. */
static size_t read_file(struct extract directory, const char *name, char *buffer, size_t capacity)
{
    char path[CGROUP_PATH + 64];
    struct text t = TEXT(path);
    text_strn(&t, directory.at, directory.length);
    text_char(&t, '/');
    text_str(&t, name);
    text_end(&t);
    int fd = os_file_open(path);
    if (fd < 0) return 0;
    size_t have = 0;
    for (long n; have < capacity; have += (size_t)n) {
        n = os_file_read(fd, buffer + have, capacity - have);
        if (n <= 0) break;
    }
    os_file_close(fd);
    return have;
}

static uint64_t read_number(struct extract directory, const char *name)
{
    char text[32];
    size_t length = read_file(directory, name, text, sizeof text);
    return cgroup_parse_number(text, length);
}

/* To read memory.stat costs the kernel a walk over the processors, so it is asked only where it matters. */
static uint64_t read_used(struct extract directory, int version, uint64_t limit)
{
    static char stat[4096];
    uint64_t used =
        read_number(directory, version == 2 ? "memory.current" : "memory.usage_in_bytes");
    if (used == CGROUP_NONE) return 0;
    if (used < limit / 2) return used;
    size_t length = read_file(directory, "memory.stat", stat, sizeof stat);
    const char *name = version == 2 ? "inactive_file" : "total_inactive_file";
    return used - base_min(used, cgroup_parse_stat(stat, length, name));
}

/* Which of two is filled more, in 1/1024. */
static uint64_t filled(uint64_t used, uint64_t limit)
{
    return used / (limit / 1024 + 1);
}

static void take_limit(struct cgroup_level *level, struct extract directory, int version,
                       const char *name)
{
    uint64_t limit = read_number(directory, name);
    if (limit == CGROUP_NONE) return;
    uint64_t used = read_used(directory, version, limit);
    if (level->limit != CGROUP_NONE && filled(used, limit) <= filled(level->used, level->limit))
        return;
    level->used = used;
    level->limit = limit;
    struct text t = TEXT(level->path);
    text_strn(&t, directory.at, directory.length);
    text_end(&t);
}

void cgroup_read(const struct cgroup *c, struct cgroup_level *max, struct cgroup_level *high)
{
    max->limit = high->limit = CGROUP_NONE;
    max->used = high->used = 0;
    struct extract directory = {c->path, length_of_text(c->path)};
    for (int level = 0; c->version && level < LEVELS; level++) {
        take_limit(max, directory, c->version,
                   c->version == 2 ? "memory.max" : "memory.limit_in_bytes");
        if (c->version == 2) take_limit(high, directory, c->version, "memory.high");
        if (directory.length <= c->top) break;
        while (directory.length > c->top && directory.at[--directory.length] != '/') {
        }
    }
}
