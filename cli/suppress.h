/*
 * A file of groups that are known, and not to be told again, nor what only they keep: a line each, '#' begins a
 * comment.
 *
 *     text:session *      they begin with this text          (shell patterns: * ? [...])
 *     type:Cache*         their type has this name
 *     size:72             their size
 *     content:zeros       zeros, text, type, links, data
 */
#ifndef CLI_SUPPRESS_H
#define CLI_SUPPRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "groups.h"

struct suppressions {
    char *text;
    const char **patterns; /* into the text: "size:72" */
    bool *used;            /* of each: it matched a group */
    size_t count;
};

/* False: `why` says which line is wrong, or that the file cannot be read. */
bool suppressions_read(struct suppressions *s, const char *path, char *why, size_t capacity);
bool suppressions_match(struct suppressions *s, const struct group *group);
size_t suppressions_used(const struct suppressions *s);
void suppressions_finish(struct suppressions *s);

#endif
