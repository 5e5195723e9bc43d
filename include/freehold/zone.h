/*
 * freehold/zone.h - what a program may ask of libfreehold-hardened.so beyond malloc: zones of its own, checks by
 * its own hand, types that are kept apart.
 *
 * All functions may be called from any thread, and not from signal handlers unless said so. Sizes are in bytes.
 * What is misused is reported, and ends the process (FREEHOLD_OPTIONS=bad_free=ignore: goes on). Errors that
 * are no misuse are NULL with errno, or a negative errno. See docs/zones.md.
 */
#ifndef FREEHOLD_ZONE_H
#define FREEHOLD_ZONE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- zones: memory whose addresses never serve anybody else ------------------------------------------- */

/* A handle. Never valid again after fh_zone_destroy, and never given out twice. */
typedef struct zone fh_zone;

enum fh_zone_flags {
    /* Blocks are made and freed only on the core that the zone was created on; for threads that are bound to it. */
    FH_ZONE_PINNED = 1,
    /* aarch64 with MTE: pointers to blocks have a tag in their top byte that the processor compares with the
     * memory's at each access, of the thread that creates the zone and of those that it makes afterwards. An access
     * by 16 bytes and more beyond a block, or to a freed one, faults; to one that came back in its place once, too, and
     * to later ones mostly. Pointers are used as they are. `block`: from 1 to 131064. Such a zone cannot be sealed,
     * needs no fh_zone_tag, which refuses its blocks; fh_object_size does not know its pointers. */
    FH_ZONE_TAGGED = 2
};

#define FH_ZONE_NAME 48 /* bytes of a name, its end included; longer ones are cut */

/* A zone for blocks of up to `block` bytes, which all lie in slots of one size; 0: blocks of any size. Its name
 * is seen in /proc/PID/maps where the kernel names memory. NULL: ENOMEM, no memory or no room for more zones (a
 * process can have 14336 slot sizes in zones in its life); EINVAL, unknown flags, no name, or a size that the flags do not
 * allow; EOPNOTSUPP, FH_ZONE_TAGGED where the machine has no tags. */
fh_zone *fh_zone_create(const char *name, size_t block, unsigned flags);

/* All its blocks are gone: their memory faults from now on, and is never used again. NULL: nothing happens. */
void fh_zone_destroy(fh_zone *zone);

const char *fh_zone_name(const fh_zone *zone);

/* A block, at a multiple of 16, uninitialised. NULL: ENOMEM, or EINVAL: more than the zone's block size. */
void *fh_zone_allocate(fh_zone *zone, size_t size)
    __attribute__((malloc, alloc_size(2), warn_unused_result));
void *fh_zone_allocate_zeroed(fh_zone *zone, size_t count, size_t size)
    __attribute__((malloc, alloc_size(2, 3), warn_unused_result));
char *fh_zone_strdup(fh_zone *zone, const char *text);

/* p is NULL or a block of this zone; one of another zone's, or of malloc's, is a misuse. free() and
 * realloc() know blocks of zones as well; realloc keeps them in their zone. */
void fh_zone_free(fh_zone *zone, void *p);

/* The same, and its address is not handed out again while the process lives. */
void fh_zone_free_permanently(fh_zone *zone, void *p);

/* The same for any block. */
void fh_free_permanently(void *p);

/* Live blocks. Walks the zone. */
size_t fh_zone_count(const fh_zone *zone);

struct fh_zone_usage {
    size_t size;         /* of this structure, set by the caller */
    uint64_t blocks;     /* live */
    uint64_t bytes;      /* that were asked for, of these */
    uint64_t slot_bytes; /* that they take */
    uint64_t regions;    /* slot sizes that the zone has so far */
};

/* 0, or -EINVAL: a size of 0. Walks the zone. */
int fh_zone_usage_get(const fh_zone *zone, struct fh_zone_usage *usage);

/* Blocks of the zone are read-only until it is unsealed; nothing is made in it (NULL, EACCES) and freeing is a misuse.
 * 0, or -ENOMEM: the kernel refuses, and the zone is not sealed, or still so; -EOPNOTSUPP: FH_ZONE_TAGGED. */
int fh_zone_seal(fh_zone *zone);
int fh_zone_unseal(fh_zone *zone);

/* ---- tags: pointers that say for which life of a block they are good -------------------------------------- */

/* A pointer to a live block of the zone with a tag in its top byte, which depends on a secret of the zone, on where the
 * block is and on how often that place was handed out. It must not be used for access before it is untagged. */
void *fh_zone_tag(const fh_zone *zone, const void *p);

/* Without the tag, if that is right: the block is live, and the same that it was when the pointer was tagged. A
 * misuse else; NULL if the program goes on. */
void *fh_zone_untag(const fh_zone *zone, const void *tagged);

/* Whether fh_zone_untag would take it: 0, or -EINVAL. Reports nothing. */
int fh_zone_tag_check(const fh_zone *zone, const void *tagged);

/* The zone's secret changes: no pointer that was tagged so far is right any more. 0 or -ENOMEM. */
int fh_zone_rotate(fh_zone *zone);

/* ---- types kept apart --------------------------------------------------------------------------------------- */

/* malloc for blocks that hold no pointers: text, pixels, messages. They never lie where blocks with pointers did, and
 * level strict does not search them for pointers to freed blocks: what holds pointers must not be made so. */
void *fh_malloc_data(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));

/* malloc for a type: the name, hashed with a secret of the process, chooses the bucket. */
void *fh_malloc_typed(size_t size, const char *type)
    __attribute__((malloc, alloc_size(1), warn_unused_result));

#define fh_new(type) ((type *)fh_malloc_typed(sizeof(type), #type))
#define fh_new_array(type, count)                                                                  \
    ((type *)fh_malloc_typed(fh_size_of_array((count), sizeof(type)), #type))
#define fh_new_data(type) ((type *)fh_malloc_data(sizeof(type)))

/* count * size, or SIZE_MAX, which nobody gets. */
static inline size_t fh_size_of_array(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

/* ---- checks ----------------------------------------------------------------------------------------------------- */

/* Bytes from p to the end of the live block that holds it, wherever in it p points; of sampled blocks too. 0: p is in
 * memory of malloc's or a zone's, and in no live block. SIZE_MAX: unknown, not ours. Async-signal-safe. */
size_t fh_object_size(const void *p);

/* 0 if p..p+n lies in one live block, or p is not ours, or n is 0. Else a misuse; -EFAULT if the program goes on.
 * Async-signal-safe. */
int fh_check_range(const void *p, size_t n);

/* Looks at every slot of malloc and of zones, or of one zone: is what lies behind each block as it was left, is freed
 * memory still clear? Reports each that is not. Returns how many; 0 as well where the level has no canaries.
 * Milliseconds for each 100 MB. Option verify_every does it again and again. */
size_t fh_hardened_verify(void);
size_t fh_zone_verify(const fh_zone *zone);

struct fh_live_block {
    const void *start;
    size_t size;         /* that was asked for */
    size_t slot_size;    /* that it takes */
    const fh_zone *zone; /* NULL: malloc's */
    uint32_t thread;     /* number of the thread that made it, modulo 512; 0: unknown */
};

/* Live blocks, of a zone or (NULL) of all the process, those of one size class together: `visit`, which may be NULL, is
 * told of each, and must not allocate or free. Returns how many. At the end of a program: its leaks. */
size_t fh_hardened_leaks(const fh_zone *zone,
                         void (*visit)(const struct fh_live_block *block, void *context),
                         void *context);

struct fh_stale_word {
    const void *word;    /* where on a stack it is */
    const void *pointer; /* what it is: an address in a freed block */
    const void *start;   /* of that block's slot */
    uint32_t thread;     /* kernel's id of the thread whose stack it is */
};

enum fh_stack_whose { FH_STACK_OWN = 0, FH_STACK_ALL = 1 };

/* Words of the calling thread's stack (FH_STACK_ALL: of the stacks of threads that sleep in the kernel as well) that
 * point into freed blocks. A stale pointer is no misuse until it is used, and dead variables are words too: nothing
 * is reported but to `visit`, which may be NULL, and must not allocate or free. Returns how many; -ENOSYS: there is
 * no /proc. Registers are not looked at. */
long fh_hardened_search_stack(unsigned whose,
                              void (*visit)(const struct fh_stale_word *word, void *context),
                              void *context);

#ifdef __cplusplus
}
#endif

#endif
