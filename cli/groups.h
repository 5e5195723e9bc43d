/*
 * Blocks of one kind, one size and one sort of content, counted together: what a person reads instead of
 * ten thousand addresses.
 *
 * The content is what the block itself tells: its first words point to a type (a virtual table, a type
 * object), it begins with text, it is zero, it points to other blocks. A table of fixed size bounds the
 * memory; what finds no place there is counted in one group of its kind.
 */
#ifndef CLI_GROUPS_H
#define CLI_GROUPS_H

#include "survey.h"

enum content {
    CONTENT_MIXED,
    CONTENT_ZERO,
    CONTENT_TYPE,
    CONTENT_TEXT,
    CONTENT_LINK,
    CONTENT_DATA
};

enum { GROUPS_MAX = 1 << 16, GROUP_TEXT = 40, GROUP_HEX = 32 };

struct group {
    enum reach_kind kind;
    enum content content;
    uint64_t size; /* of each block; 0: of various */
    uint64_t type; /* address that the first words point to */
    uint64_t count, bytes;
    uint64_t kept_count, kept_bytes; /* blocks that are only reached from these */
    uint64_t example;
    char text[GROUP_TEXT + 1]; /* what all of them begin with */
    unsigned char head[GROUP_HEX];
    unsigned head_size;
    char label[256]; /* of the type: by leaks_name */
    size_t slot;     /* private: its place in the table */
    bool known;      /* by itself: groups_know */
    bool suppressed; /* not told: known, or kept by what is known only */
};

struct groups {
    struct group *table; /* by hash */
    size_t used;
    struct group *list; /* sorted: what holds most comes first */
    size_t count;
};

/* Groups the blocks of the wanted kinds; those that reach_know was told of are groups of their own, suppressed.
 * False: no memory. groups_finish in any case. */
bool groups_make(struct groups *g, const struct survey *s, unsigned kinds);
/* Of those alone of which `wanted` says so. */
bool groups_make_some(struct groups *g, const struct survey *s, unsigned kinds,
                      bool (*wanted)(void *context, uint64_t start), void *context);

/* A group of the list is known; whether a block is in one that is. */
void groups_know(struct groups *g, const struct group *known);
bool groups_knows(const struct groups *g, const struct survey *s, uint64_t start, uint64_t size,
                  enum reach_kind kind);
void groups_finish(struct groups *g);

const char *content_name(enum content content);
const char *kind_name(enum reach_kind kind);

#endif
