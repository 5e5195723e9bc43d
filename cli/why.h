/*
 * `freehold map --why`: what one address is, and why it is alive.
 *
 *     why.c         from an address to a path: the picture that `leaks` takes, its blocks, the search
 *     why_place.c   names of what is no block: static data, stacks, thread-local storage, registers
 *     why_show.c    as text and as JSON
 *
 * The path is one of the shortest from any root (span/reach_path.c), along words that are the address of a
 * block; only if there is none, along words into the middle of blocks as well. Of roots equally near,
 * static data come first and registers last: what a program calls by a name is the better answer. A path from a stack
 * or a register may rest on a word that was left there: then one from elsewhere is searched too.
 */
#ifndef CLI_WHY_H
#define CLI_WHY_H

#include "leaks.h"

/* Tags of roots that have no address. */
#define WHY_REGISTER (1ull << 63) /* | thread << 8 | register */
#define WHY_VECTOR (1ull << 62)   /* | thread: what libc keeps of its thread-local storage */
#define WHY_KERNEL (1ull << 61)   /* what the kernel keeps for the process */

/* As a path's root, and what an address is otherwise. */
enum why_kind {
    WHY_IS_STATIC,
    WHY_IS_STACK,
    WHY_IS_DEAD_STACK,
    WHY_IS_TLS,
    WHY_IS_REGISTER,
    WHY_IS_KERNEL,
    WHY_IS_MAPPING,
    WHY_IS_NOTHING, /* not mapped */
};

struct why_place {
    enum why_kind kind;
    pid_t thread;   /* 0: of none */
    char text[256]; /* a noun */
};

struct why_path {
    struct reach_step *steps;
    size_t count; /* 0: there is none */
};

struct why {
    struct leaks leaks;
    uint64_t address;
    char holds[320]; /* what the address is: a clause */
    bool in_heap;    /* in no block, but in a heap */
    bool is_block;   /* a live one: */
    uint64_t start, size;
    bool reached;
    bool interior; /* only by words into the middle of blocks */
    size_t found;  /* blocks that were found before it */
    struct why_path path;
    struct why_path
        other; /* from static data or other memory, if `path` is from a stack or register */
    uint64_t search_us;
};

/* Exit statuses; promised in freehold(1). */
enum { WHY_KNOWN = 0, WHY_UNREACHABLE = 1, WHY_ERROR = 2, WHY_UNKNOWN = 3 };

/* Of a process if `pid`, else of a core file. The whole command. */
struct why_request {
    pid_t pid;
    const char *core, *executable;
    uint64_t address;
    bool json;
};
int map_why(const struct why_request *request);

struct why_place why_place_of(const struct leaks *l, uint64_t address);
struct why_place why_root_of(const struct leaks *l, uint64_t tag);
const char *why_kind_name(enum why_kind kind);

void why_show(const struct why *w, FILE *out, const struct palette *colours);
void why_json(const struct why *w, FILE *out);

#endif
