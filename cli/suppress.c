/* Reads and applies a file of suppressions; see suppress.h. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "suppress.h"

enum { SUPPRESSIONS_BYTES_MAX = 1 << 20 };

static bool is_known(const char *line)
{
    static const char *const keys[] = {"text:", "type:", "size:", "content:"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strncmp(line, keys[i], strlen(keys[i])) == 0) return line[strlen(keys[i])] != 0;
    }
    return false;
}

bool suppressions_read(struct suppressions *s, const char *path, char *why, size_t capacity)
{
    struct file_text text;
    unsigned line_number = 0;
    *s = (struct suppressions){0};
    if (!file_read(&text, path, SUPPRESSIONS_BYTES_MAX)) {
        snprintf(why, capacity, "cannot read the suppressions %s: %s", path, strerror(errno));
        return false;
    }
    s->text = text.data;
    s->patterns = calloc(text.size + 1, sizeof *s->patterns);
    s->used = calloc(text.size + 1, sizeof *s->used);
    for (char *line = text.data, *next; s->patterns && s->used && line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        line_number++;
        line += strspn(line, " \t");
        line[strcspn(line, "\r")] = 0;
        if (*line == 0 || *line == '#') continue;
        if (!is_known(line)) {
            snprintf(
                why, capacity,
                "%s:%u: '%.60s' is no suppression: write text:, type:, size: or content: and a "
                "pattern",
                path, line_number, line);
            return false;
        }
        s->patterns[s->count++] = line;
    }
    return s->patterns && s->used;
}

bool suppressions_match(struct suppressions *s, const struct group *group)
{
    char size[32];
    bool matches = false;
    snprintf(size, sizeof size, "%llu", (unsigned long long)group->size);
    for (size_t i = 0; i < s->count; i++) {
        const char *line = s->patterns[i], *pattern = strchr(line, ':') + 1;
        const char *value = line[0] == 's'                   ? size
                            : line[0] == 'c'                 ? content_name(group->content)
                            : strncmp(line, "text:", 5) == 0 ? group->text
                                                             : group->label;
        if (!*value || fnmatch(pattern, value, 0) != 0) continue;
        matches = s->used[i] = true;
    }
    return matches;
}

size_t suppressions_used(const struct suppressions *s)
{
    size_t used = 0;
    for (size_t i = 0; i < s->count; i++) used += s->used[i];
    return used;
}

void suppressions_finish(struct suppressions *s)
{
    free(s->text);
    free(s->patterns);
    free(s->used);
    *s = (struct suppressions){0};
}
