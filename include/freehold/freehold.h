/*
 * freehold/freehold.h - allocate, and ask what holds an address.
 *
 * A program needs none of this: libfreehold.so replaces malloc and its kin by their own names.
 * The fh_ twins are for those who want this allocator beside another one, or its extra answers.
 *
 * Unless said otherwise a function may be called from any thread at any time, except from signal
 * handlers; sizes are in bytes; errors of the malloc family are NULL with errno, of the others a
 * negative errno.
 */
#ifndef FREEHOLD_FREEHOLD_H
#define FREEHOLD_FREEHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FH_VERSION_MAJOR 0
#define FH_VERSION_MINOR 1
#define FH_VERSION_PATCH 0
#define FH_VERSION_TEXT "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the malloc family; each does what its namesake does --------------------------------- */

void *fh_malloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *fh_calloc(size_t count, size_t size)
    __attribute__((malloc, alloc_size(1, 2), warn_unused_result));
void *fh_realloc(void *p, size_t size) __attribute__((alloc_size(2), warn_unused_result));
void *fh_reallocarray(void *p, size_t count, size_t size)
    __attribute__((alloc_size(2, 3), warn_unused_result));
void *fh_aligned_alloc(size_t alignment, size_t size)
    __attribute__((malloc, alloc_size(2), warn_unused_result));
int fh_posix_memalign(void **p, size_t alignment, size_t size);
void fh_free(void *p);
/* C23: the size, or size and alignment, that the block was allocated with. */
void fh_free_sized(void *p, size_t size);
void fh_free_aligned_sized(void *p, size_t alignment, size_t size);
size_t fh_malloc_usable_size(const void *p);

/* Returns the unused memory of all threads to the kernel. 1 if any was returned, else 0, as glibc's
 * malloc_trim; `pad`, which there stays at the top of the heap, has no meaning here. */
int fh_malloc_trim(size_t pad);

/* ---- what holds this address? ------------------------------------------------------------- */

enum fh_kind {
    FH_FOREIGN = 0,  /* not of this library: the program's, a stack's, another malloc's, nothing */
    FH_RESERVED = 1, /* our address range, not handed out (also: given back to the kernel) */
    FH_METADATA = 2, /* Freehold's own records */
    FH_BLOCK = 3,    /* a live block of malloc */
    FH_BLOCK_FREE = 4, /* a block of malloc that is free now */
    FH_SLACK = 5,      /* inside a slab, but in no block: its tail, or not yet carved */
    FH_LARGE = 6,      /* a live large block */
    FH_SPAN = 7,       /* a free span, kept for reuse */
    FH_GC_OBJECT = 16, /* an object of the collector that was live when it last looked */
    FH_GC_SPACE = 17   /* a block of the collector; no live object is there */
};

struct fh_description {
    enum fh_kind kind;
    const void *start; /* of the block, span or range; NULL if foreign */
    size_t size;       /* its usable bytes */
    size_t offset;     /* of the address in it */
    uint32_t heap;     /* id of the heap that owns the slab; 0 none */
    uint32_t thread;   /* kernel's id of the thread of that heap */
};

/* Fills *d for any word at all, mapped or not, and returns d->kind. Constant time, no locks, no
 * allocation, no access to the address unless it lies in a slab of ours; async-signal-safe. The
 * answer is as of the call: other threads go on. */
enum fh_kind fh_describe(const void *p, struct fh_description *d);

/* Writes the same as a sentence, always terminated; returns its length without the terminator. */
size_t fh_describe_text(const void *p, char *text, size_t capacity);

/* ---- options and statistics --------------------------------------------------------------- */

/* Options are read once, at the first allocation: first from this symbol, if the program defines
 * it (a program that is not linked with the library, but has it preloaded, must also export it:
 * -rdynamic), then from the environment variable FREEHOLD_OPTIONS (not in setuid programs). Both
 * are "key=value,key=value"; FREEHOLD_OPTIONS=help prints the table. */
extern const char *const freehold_options __attribute__((weak));

/* The value of an option as text, as it stands; -ENOENT for an unknown key, -ENOSPC if `capacity`
 * does not hold it. */
int fh_option_get(const char *key, char *text, size_t capacity);

/* Changes an option that may change at run time: -ENOENT unknown, -EINVAL bad value, -EPERM fixed
 * at start-up. */
int fh_option_set(const char *key, const char *value);

struct fh_usage;

/* Where the bytes are (freehold/registry.h). Walks all spans: milliseconds on heaps of gigabytes. */
void fh_usage_get(struct fh_usage *usage);

/* "0.1.0" */
const char *fh_version(void);

#ifdef __cplusplus
}
#endif
#endif
