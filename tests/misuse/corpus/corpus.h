/*
 * The attack corpus: tiny programs that misuse malloc as bugs and their exploiters do.
 *
 * Each case has a goal, which is what the attacker wants (a neighbour's data changed, one block handed
 * out twice, a secret read), and calls goal() the moment it is reached. What the allocator does about it
 * is seen from outside, by run.py: an abort with a message before the goal, a trap, or nothing. A case
 * then gives back what it holds, and settle() goes on allocating, so that checks which come late get
 * their chance. Nothing here knows an allocator: plain calls of the C library, under whatever is
 * preloaded. The case files are compiled so that the compiler neither sees nor removes the misuse
 * (OPAQUE, -O1 -fno-builtin, no FORTIFY), and each malloc stands in the function that calls it, because
 * an allocator may tell types of blocks apart by their call sites.
 *
 * A new case is a line of cases.def and a function named after it in the file of its class.
 */
#ifndef CORPUS_H
#define CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The same value, of which the compiler knows nothing any more. */
#define OPAQUE(value)                                                                              \
    __extension__({                                                                                \
        __typeof__(value) opaque_ = (value);                                                       \
        __asm__ volatile("" : "+r"(opaque_) : : "memory");                                         \
        opaque_;                                                                                   \
    })

#define INLINE static inline __attribute__((always_inline, unused))

typedef unsigned char byte;

/* --- what a case says; each at most once a process, all on stdout ------------------------------- */

void goal(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool goal_reached(void);
/* The C library or the allocator lacks the function that the case is about. */
__attribute__((noreturn)) void missing(const char *what);
/* The case could not be set up, which says nothing about the allocator's protection. */
__attribute__((noreturn)) void refused(const char *what);
/* A legal program was not served as it must be. */
__attribute__((noreturn)) void broken(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
#define MUST(condition)                                                                            \
    ((condition) ? (void)0 : broken("%s:%d: %s", __FILE__, __LINE__, #condition))

/* Allocates and frees many sizes for a while. main() calls it after every case. */
void settle(void);

/* --- calls of malloc that the compiler leaves alone --------------------------------------------- */

INLINE void *take(size_t size)
{
    void *block = OPAQUE(malloc(OPAQUE(size)));
    if (!block) refused("malloc");
    return block;
}

INLINE void *take_zeroed(size_t size)
{
    void *block = OPAQUE(calloc(1, OPAQUE(size)));
    if (!block) refused("calloc");
    return block;
}

INLINE void *take_aligned(size_t alignment, size_t size)
{
    void *block = NULL;
    if (posix_memalign(&block, OPAQUE(alignment), OPAQUE(size))) refused("posix_memalign");
    return OPAQUE(block);
}

INLINE void *resize(void *block, size_t size)
{
    return OPAQUE(realloc(OPAQUE(block), OPAQUE(size)));
}

INLINE void drop(void *block)
{
    free(OPAQUE(block));
}

INLINE size_t usable(void *block)
{
    return OPAQUE(malloc_usable_size(OPAQUE(block)));
}

/* --- memory ------------------------------------------------------------------------------------- */

/* Byte by byte, never by a call of the C library. */
void fill(void *to, int value, size_t size);
bool filled_with(const void *at, int value, size_t size);
bool find_word(const void *in, size_t size, uint64_t word);

/* A word that nothing else in the process has. */
#define SECRET UINT64_C(0x5ec2e75ec2e7aaf1)
void fill_words(void *to, uint64_t word, size_t size);

INLINE bool overlap(const void *one, size_t one_size, const void *two, size_t two_size)
{
    return (uintptr_t)one < (uintptr_t)two + two_size && (uintptr_t)two < (uintptr_t)one + one_size;
}

/* In a file or heap that is mapped now: what an attacker calls a leaked pointer. */
bool points_somewhere(uint64_t word);

/* Where the mapping begins that holds the address. */
uintptr_t mapping_start(const void *address);

/* A page-aligned piece of memory with which no allocator has to do. */
void *other_memory(size_t size);

/* --- many blocks -------------------------------------------------------------------------------- */

enum { CROWD_MAX = 1 << 18 };

/* Blocks held by the attacker; freed ones are forgotten, so that no stale copy is left here. */
struct crowd {
    size_t count;
    void *at[CROWD_MAX];
};
extern struct crowd crowd, others;

void crowd_sort(struct crowd *all);                /* by address */
void crowd_drop(struct crowd *all);                /* frees all */
void crowd_thin(struct crowd *all);                /* frees every second one */
void *crowd_pull(struct crowd *all, size_t index); /* takes one out, without freeing it */

INLINE void crowd_add(struct crowd *all, void *block)
{
    if (all->count < CROWD_MAX) all->at[all->count++] = block;
}

/* count blocks of size bytes each, made where this is called. */
INLINE void crowd_take(struct crowd *all, size_t size, size_t count)
{
    while (count--) crowd_add(all, take(size));
}

/* Does a block of size bytes lie over the one at? */
bool crowd_over(const struct crowd *all, size_t size, const void *at, size_t at_size);
/* Writes a name of its own to each block of size bytes, and tells whether two hold the same memory. */
bool crowd_collides(const struct crowd *all, size_t size);

/* Makes, and holds, count more blocks of size bytes: is one of them over `at`? */
INLINE bool comes_back(const void *at, size_t at_size, size_t size, size_t count)
{
    size_t first = others.count;
    crowd_take(&others, size, count);
    for (size_t i = first; i < others.count; i++)
        if (overlap(others.at[i], size, at, at_size)) return true;
    return false;
}

/* The goal of most double frees: two of `count` blocks share memory. */
INLINE void goal_if_twice(size_t size, size_t count)
{
    crowd_take(&others, size, count);
    if (crowd_collides(&others, size)) goal("one block was handed out twice");
    crowd_drop(&others);
}

/* The goal of most bad frees: a block comes from there. */
INLINE void goal_if_within(const void *at, size_t at_size, size_t size, size_t count)
{
    if (comes_back(at, at_size, size, count)) goal("malloc returned the attacker's address");
    crowd_drop(&others);
}

/* --- threads ------------------------------------------------------------------------------------ */

/* Runs it in a thread that has ended when this returns. */
void in_thread(void *(*body)(void *), void *argument);

/* Another process of the corpus: writes the distance of two blocks of size bytes to stdout. */
__attribute__((noreturn)) void corpus_look(size_t size);

/* A random number; no part of libc's state. */
uint32_t dice(uint32_t below);

/* --- the table ---------------------------------------------------------------------------------- */

enum kind { EXPLOIT, HYGIENE, LEGAL };

#define CASE(id, kind, title, goal) void id(void);
#include "cases.def"
#undef CASE

#ifdef __cplusplus
}
#endif
#endif
