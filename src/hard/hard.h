/*
 * hard: the hardened policy of malloc, in the place of heap/ where a library is built with FH_HARDENED.
 *
 * Nothing that the allocator believes lies in memory that it hands out: no links, no headers. Every block
 * is a slot of a region; a region serves one size class of one bucket, and its addresses never serve
 * anything else. Each slot has a word about it, far away, that says what it is: never used, live, freed and
 * not to be reused yet, free. So what is not a live block of the program is recognised at once, whatever
 * was overwritten, and stale pointers meet only their own kind.
 *
 *     data   | chunk | (nothing) | chunk | ...      2^44 bytes reserved at a random address; a chunk, 64 MiB,
 *                                                   belongs to one region for ever; regions take chunks
 *                                                   anywhere, at random
 *     meta   | of chunk 0 | of chunk 1 | ...        another reservation, 16 MiB for each chunk:
 *                                                   | slabs | free bits | words of slots |
 *
 *     a chunk of a small region     | slab | slab | slab | ...     64 KiB (up to 1 MiB for large slots)
 *     a slab                        | slot 0 | slot 1 | ... | slot n-1 | rest | guard page |
 *     a slot                        | what was asked for | canary |
 *     a slot of a large region      | nothing ... | block, at its end | guard ... |   2^k bytes
 *
 *     thread  takes a slot at random out of a few that it keeps per region     thread.c
 *     free    state, kind, canary, zero, then a quarantine, then the few       slot.c
 *     central a region's slabs, under the region's lock                        central.c
 *     large   above 128 KiB                                                    large.c
 *     zones   regions that the program makes for itself, and destroys          zone.c
 *
 * Why a policy of its own and not hooks in heap/: docs/decisions/0014.
 */
#ifndef HARD_HARD_H
#define HARD_HARD_H

#include <freehold/hardened.h>

#include "base/lock.h"
#include "span/span.h"

/* ---- sizes ------------------------------------------------------------------------------------ */

#define HARD_CANARY 8               /* bytes behind a block, at least */
#define HARD_SMALL_MOST (128 * KIB) /* bytes of the largest small slot */
#define QUICK_BYTES 256             /* slots that quick.h clears and looks at itself */
#define HARD_CLASSES 121            /* class 0 serves malloc(0) */
#define HARD_BUCKETS 4              /* the last one is for what holds no pointers */
#define HARD_BUCKET_DATA (HARD_BUCKETS - 1)
#define HARD_LARGE_FIRST                                                                           \
    (HARD_CLASSES * HARD_BUCKETS) /* regions from here on: slots of 2^(16 + i) */
#define HARD_LARGE_COUNT 28
#define HARD_SAMPLE                                                                                \
    (HARD_LARGE_FIRST + HARD_LARGE_COUNT) /* blocks on pages of their own: sample.c */
#define HARD_REGIONS (HARD_SAMPLE + 1)
#define HARD_ZONE_FIRST                                                                            \
    2048 /* regions from here on are of private zones, made at run time: zone.c */
#define HARD_TABLE 16384

#define HARD_CACHE_BYTES (68 * KIB) /* of a thread's record: its few slots of each region */
#define HARD_CACHE_NONE (HARD_CACHE_BYTES - 8) /* there: no slots, ever */
#define HARD_META_SHIFT 2                      /* meta data of a chunk: its size >> this */

/* ---- what a slot is ------------------------------------------------------------------------------ */

/* The word of a slot:  | slack : 16 | thread : 9 | marked 1 | kind 3 | state 3 |
 * slack: bytes of the slot behind what was asked for. thread: who made or freed it last, modulo 512; of kinds
 * that are told an alignment, while it lives, that. */
enum slot_state {
    SLOT_NEVER = 0, /* not handed out yet */
    SLOT_LIVE = 1,
    SLOT_QUARANTINED = 2, /* freed; not to be handed out yet */
    SLOT_FREE = 3,
    SLOT_CACHED = 4, /* free, in what a thread takes from */
    SLOT_GONE = 5,   /* freed for good: never handed out again */
};

enum slot_kind {
    KIND_MALLOC = 0,
    KIND_NEW = 1,
    KIND_NEW_ARRAY = 2,
    KIND_ANY = 3,         /* of a call that may end every kind */
    KIND_NEW_ALIGNED = 4, /* by the forms that are told an alignment */
    KIND_NEW_ARRAY_ALIGNED = 5,
    KIND_ZONE = 6, /* of a private zone: no call's own, and any may end it */
};

#define WORD_STATE 7u
#define WORD_KIND_SHIFT 3
#define WORD_KIND 7u
#define WORD_MARKED (1u << 6) /* reuse.c: a word that points to it was found */
#define WORD_THREAD_SHIFT 7
#define WORD_THREADS 512u
#define WORD_SLACK_SHIFT 16

typedef _Atomic uint32_t slot_word;

enum region_kind { REGION_NONE, REGION_ZERO, REGION_SMALL, REGION_LARGE, REGION_SAMPLE };

/* What never changes; sealed after the start. */
struct region {
    uint64_t reciprocal; /* 2^40 / size, rounded up: offsets in a slab are below 2^20 */
    uint32_t size;       /* of a slot; large: 0 */
    uint16_t slots;      /* of a slab; large and sample: of a chunk */
    uint8_t slab_shift;  /* large: of a slot */
    uint8_t kind;        /* enum region_kind */
    uint16_t size_class;
    uint8_t bucket;
    uint8_t window;     /* slots that a thread gets at a time; it keeps twice as many at most */
    uint16_t words;     /* of free bits for a slab */
    uint16_t carve;     /* slots of a slab that are made at a time */
    uint32_t words_at;  /* where words of slots begin in the meta data of a chunk */
    uint32_t cache_at;  /* where its few slots lie in a thread's record */
    uint32_t slab_mask; /* 2^slab_shift - 1 */
    uint32_t unused[7]; /* so that it is a line of the cache's */
};

/* A live or freed block that is not in a slab: its record in the meta data of its chunk. */
struct large {
    slot_word word;
    uint32_t thread;
    uint64_t start, size;    /* what was asked for, from where */
    uint64_t pages;          /* where the page of its last byte ends */
    uint32_t next;           /* freed slots of its region, the oldest first: number + 1 */
    uint32_t guarded;        /* what of the slot is not the block faults */
    uint64_t open, open_end; /* freed: pages that are there still; level light */
    uint64_t front;          /* live: where such pages begin, if that is before the block; 0 not */
    uint32_t visits; /* of the purger since it was freed; of a zone's: what its tag is made of */
};

struct slab {
    uint32_t next, prev; /* of its region, in a queue; 0 ends */
    uint16_t free;       /* bits that are set */
    uint16_t carved;     /* slots that exist so far */
    uint16_t queued;     /* in the region's queue of slabs that have slots to give */
    uint16_t emptied;    /* the sweep that found it empty; 0 none */
};

/* The measures in force; sealed after the start. See docs/hardened.md for what each stops. */
struct measures {
    int level; /* 0 light, 1 standard, 2 strict */
    bool canary, kinds, chance, reuse, poison;
    uint32_t buckets;   /* by call site, at most HARD_BUCKETS - 1 */
    uint32_t zero_most; /* largest slot that is cleared when its block is freed */
    uint32_t
        check_most; /* largest slot that is always checked to be clear still when it is handed out */
    uint32_t quarantine; /* bytes, each thread's */
    uint32_t sample;     /* one of how many allocations gets pages of its own; 0 none */
    uint32_t sample_slots;
    uint32_t verify_every; /* allocations of a thread; 0: never */
};

struct hard_space {
    uintptr_t base; /* of data */
    size_t size;
    uintptr_t meta;
    unsigned chunk_shift;
    uint64_t chunk_mask; /* 2^chunk_shift - 1 */
    const char *single;  /* points to what is not 0 while there is one thread */
    uint64_t secret, site_secret;
    uint16_t *owner; /* of each chunk: its region + 1; 0 nobody's */
    struct measures measures;
    /* What quick.h needs to know of them. 0: nothing is done there */
    uint32_t quick_most;                        /* bytes asked for */
    uint32_t quick_regions;                     /* that its frees serve, from class 1 on */
    uint32_t quick_check;                       /* bytes of slots that are looked at right there */
    uint32_t tail;                              /* bytes of a canary */
    uint8_t class_of[HARD_SMALL_MOST / 16 + 1]; /* small sizes, in 16 bytes rounded up */
    /* those of zones on pages of their own, which are unsealed while one is added */
    struct region region[HARD_TABLE] __attribute__((aligned(65536)));
    uint16_t zone_of[HARD_TABLE - HARD_ZONE_FIRST]; /* the zone's number */
} __attribute__((aligned(65536))); /* alone on its pages, of whatever size, to be sealed */

static_assert(HARD_ZONE_FIRST * sizeof(struct region) % 65536 == 0 &&
                  HARD_ZONE_FIRST >= HARD_REGIONS,
              "regions of zones begin a page");

extern struct hard_space hard;

/* ---- from an address to its slot ------------------------------------------------------------------ */

struct slot {
    uintptr_t start; /* of the slot, or of the large block */
    slot_word *word;
    const struct region *region;
    uint32_t slab; /* chunk << slabs_shift | number in it */
    uint32_t index;
};

FH_INLINE bool hard_holds(const void *p)
{
    return (uintptr_t)p - hard.base < hard.size;
}

FH_INLINE bool region_is_zone(const struct region *region)
{
    return region >= &hard.region[HARD_ZONE_FIRST];
}

FH_INLINE unsigned hard_state(uint32_t word)
{
    return word & WORD_STATE;
}

FH_INLINE unsigned hard_kind(uint32_t word)
{
    return word >> WORD_KIND_SHIFT & WORD_KIND;
}

FH_INLINE uint32_t hard_slack(uint32_t word)
{
    return word >> WORD_SLACK_SHIFT;
}

/* The slot that holds p, wherever in it p points. False: no chunk there, or between slots. */
bool hard_slot_find(const void *p, struct slot *slot);

/* Slots of all threads and regions that the program holds: bytes, as of now. */
uint64_t hard_live_bytes(void);

/* Slots of a region that reuse_add was given may be handed out again. */
void hard_release(const struct region *region, const uintptr_t *starts, unsigned count);

/* What was asked for, in a live or freed slot; and from where. */
size_t hard_slot_size(const struct slot *slot);
uintptr_t hard_slot_start(const struct slot *slot);

#endif
