/*
 * freehold/registry.h - the registry: where a tool in another process finds every byte of a heap.
 *
 * A process that uses Freehold holds one `struct fh_registry`. From it everything else is found by
 * arithmetic, so that a tool reads it with process_vm_readv or /proc/PID/mem while the process
 * runs on, without stopping it and without code inside it.
 *
 * How to find it, in a process or in a file:
 *   - the dynamic symbol `fh_registry` of the module that holds the allocator, or
 *   - in a stripped or static program, the ELF note named "Freehold" of type FH_NOTE_REGISTRY:
 *     its descriptor is a struct fh_note.
 *
 * What is read is a moving picture: each aligned word is whole, words may differ in age by the
 * time that the reading took. A reader bounds every index and offset that it uses.
 *
 *     base                    base + span_bytes       first_slice              high         limit
 *      | span descriptors      | heaps, one a thread   | memory handed out       | reserved   |
 *      | 64 bytes a slice      |                       | in slices of 64 KiB     |            |
 *
 *     descriptor of address p:  base + ((p - base) >> FH_SLICE_SHIFT) * sizeof(struct fh_span)
 *
 * Versioning: `version` changes when a field moves or changes its meaning; new fields are added
 * at the end and announced by `size`.
 */
#ifndef FREEHOLD_REGISTRY_H
#define FREEHOLD_REGISTRY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FH_REGISTRY_MAGIC "FREEHOLD"
#define FH_REGISTRY_VERSION 1
#define FH_NOTE_NAME "Freehold"
#define FH_NOTE_REGISTRY 1

#define FH_SLICE_SHIFT 16   /* a slice is 64 KiB */
#define FH_CARVE_SHIFT 12   /* slabs are carved into blocks 4 KiB at a time */
#define FH_GRANULE_SHIFT 10 /* blocks of 8 to 64 KiB are runs of granules of 1 KiB */
#define FH_CLASSES 89       /* size classes; class 0 serves malloc(0) and shares class 1's size */

/* The note's descriptor. `offset` is the registry's address minus the address of this field. */
struct fh_note {
    uint32_t version; /* FH_REGISTRY_VERSION */
    uint32_t reserved;
    int64_t offset;
};

/* What a slice is. Codes are never reused. */
enum fh_span_kind {
    FH_SPAN_NONE = 0,  /* never used, or inside a span: see FH_SPAN_BODY */
    FH_SPAN_FREE = 1,  /* head of a free span */
    FH_SPAN_SLAB = 2,  /* one slice cut into equal blocks */
    FH_SPAN_LARGE = 3, /* head of one large block */
    FH_SPAN_BODY = 4,  /* inside a large span: `slices` holds the index of the head. Only some
                          slices carry it: from slice i, clear the lowest set bits of i one by one
                          until a head or a body of a span that covers i is met. */
    FH_SPAN_BUSY = 5,  /* being given back to the kernel just now */
    FH_SPAN_RUNS = 6, /* one slice of 64 granules that hold blocks of 8 to 64 KiB: `bytes` has a bit
                          for each free granule, `free` one for each that starts a block */
    FH_SPAN_GC_BLOCK = 16, /* one slice of the collector's objects: see freehold/gc.h */
    FH_SPAN_GC_LARGE = 17  /* head of one large object of the collector, `bytes` long */
};

/* Where a slab stands in its heap. */
enum fh_slab_state {
    FH_SLAB_NONE = 0,
    FH_SLAB_CURRENT = 1, /* the heap allocates from it */
    FH_SLAB_PARTIAL = 2, /* has free blocks, queued */
    FH_SLAB_FULL = 3     /* few or no free blocks, not queued */
};

#define FH_SPAN_DIRTY 1 /* flags of a free span: its pages may be resident */
#define FH_SPAN_ZERO 2  /* flags of a free or large span: was handed out all zero */

/* The second word of a block of a slab is fh_registry.base while it is free, and was never written to by a
 * program then, or the program wrote to freed memory. A live block may have it too, by a copy of such memory. */

/* One descriptor, 64 bytes, for each slice.
 *
 *      0        8        16   20  22  24     26   28   29  30  31 32   36      38      40      48
 *     | owner  | free   |count|rest|carv|uncarv|clean|kind|cls|st|fl|rem |rem_tail| ...         |
 *
 * A slab's blocks in use, as its owner counts them: countdown + rest. That includes blocks that
 * lie in the thread's allocation list and blocks freed by other threads but not yet collected. */
struct fh_span {
    uint64_t owner;     /* address of the fh_heap of a slab; 0 otherwise */
    uint64_t free;      /* first block of the free list, linked by the first word of each; 0 ends */
    uint32_t countdown; /* frees until the owner looks at the slab; free span: next older */
    int16_t rest;       /* blocks in use beyond countdown; -1 for a current slab */
    uint16_t carved;    /* blocks ever linked and not given back */
    uint16_t uncarved;  /* bit per 4 KiB: no block that starts there exists yet */
    uint16_t clean;     /* bit per 4 KiB: not resident on the heap's account */
    uint8_t kind;       /* enum fh_span_kind */
    uint8_t size_class;
    uint8_t state; /* enum fh_slab_state */
    uint8_t flags;
    uint32_t remote;       /* blocks freed by others: count << 16 | offset >> 4 of the first */
    uint16_t remote_tail;  /* offset >> 4 of the last of them */
    uint16_t shard;        /* slice of runs: index of its fh_run_shard; slab: 1 + index of the one
                              block that exists although `uncarved` says otherwise, and bit 15 if it
                              is the first of the free list; or 0 */
    uint32_t pending_next; /* next slab in its owner's list of slabs with remote frees */
    uint32_t next;         /* index of the next span in the same queue; 0 ends */
    uint32_t prev;
    uint32_t slices; /* length of a span; FH_SPAN_BODY: index of its head */
    uint64_t
        bytes; /* large: usable bytes; free: when it was freed, ms; slab: the purger's note, and from
                        bit 32 on 2^32 by the size of a block, rounded up */
};

enum fh_heap_state {
    FH_HEAP_FREE = 0,
    FH_HEAP_LIVE = 1, /* a thread allocates from it */
    FH_HEAP_IDLE = 2  /* its thread ended; the next thread takes it over, others take its slabs */
};

/* The head of each heap record; they lie `heap_stride` bytes apart from `heaps` on. */
struct fh_heap {
    uint64_t head[FH_CLASSES];      /* blocks ready to be allocated, one list a class */
    uint32_t thread;                /* kernel's id of its thread, the last one if idle */
    uint32_t state;                 /* enum fh_heap_state */
    uint32_t id;                    /* 1, 2, ... */
    uint32_t pending;               /* first slab with remote frees; 0 none */
    uint64_t allocated[FH_CLASSES]; /* blocks put into head[] so far */
};

/* Slices of runs are divided among a few sets with a lock each. */
#define FH_RUN_SHARDS 4

struct fh_run_shard {
    uint64_t bytes;     /* live in its slices */
    uint64_t allocated; /* runs ever allocated */
    uint64_t allocated_bytes;
};

struct fh_registry {
    char magic[8];
    uint32_t version;
    uint32_t size; /* bytes of this structure */
    char library[16];
    uint32_t pid;
    uint32_t page_size;
    uint64_t started_ms; /* CLOCK_MONOTONIC */
    uint64_t base;       /* the reserved range, and the span descriptors */
    uint64_t limit;
    uint64_t span_bytes;     /* of descriptors, from base */
    uint64_t meta_committed; /* bytes of descriptors and heaps that are writable */
    uint64_t heaps;          /* address of the first fh_heap */
    uint32_t heap_stride;
    uint32_t heap_count;
    uint32_t first_slice;
    uint32_t high;      /* slices from here on were never used */
    uint64_t committed; /* bytes of slices that are readable and writable */
    uint64_t slabs;     /* slices in use as slabs */
    uint64_t runs;      /* slices in use for runs */
    uint64_t large_count;
    uint64_t large_bytes;     /* usable bytes of live large blocks */
    uint64_t large_allocated; /* large blocks ever allocated */
    uint64_t large_allocated_bytes;
    uint64_t dirty_slices; /* free spans with resident pages */
    uint64_t purged_bytes; /* given back to the kernel so far */
    uint64_t purges;
    uint64_t purge_delay_ms;
    uint32_t threads_peak;
    uint32_t helper_running; /* the purger's thread exists */
    uint32_t class_size[FH_CLASSES];
    uint32_t reserved;
    struct fh_run_shard run_shard[FH_RUN_SHARDS];
    uint64_t events; /* address of the fh_event_ring */
    uint64_t plug;   /* address of the fh_plug_box: see freehold/plug.h; 0: option plug is off */
    uint64_t hard;   /* address of the fh_hard: see below; 0: this is not the hardened library */
};

/* The registry of the allocator in this process. */
extern struct fh_registry fh_registry;

/* ---- the hardened heap ---------------------------------------------------------------------- */

/*
 * malloc's blocks under libfreehold-hardened. The arena above then holds the collector's heaps alone; blocks lie
 * in another reservation, what is known of them in a third one, both at random addresses.
 *
 *     base  | chunk 0 | chunk 1 | ...        of 2^chunk_shift bytes. owner[i], 16 bits: 1 + the region that chunk
 *                                            i belongs to; 0: nobody's, and nothing of it may be read
 *     meta  | of chunk 0 | of chunk 1 | ...  of 2^(chunk_shift - meta_shift) bytes each; only those of chunks
 *                                            with an owner may be read
 *
 *     small, zero   chunk   | slab | slab | ...        of 2^slab_shift bytes
 *                   slab    | slot 0 | slot 1 | ... | slot n-1 | rest |
 *                   meta    | fh_hard_slab of each slab | free bits, `words` * 8 bytes a slab |
 *                           | from words_at on: a word of 32 bits for each slot, `slots` a slab |
 *
 *     large         chunk   | slot | slot | ...        of 2^slab_shift bytes, the block somewhere in it. A slot
 *                           larger than a chunk takes a run of chunks, at a multiple of its size
 *                   meta    | fh_hard_large of each slot | of the first chunk of a run
 *
 *     sampled       blocks on pages of their own, in a reservation of theirs: an fh_hard_sample each
 *
 * The word of a slot, wherever it stands:  | slack : 16 | thread : 9 | 2 | kind : 2 | state : 3 |
 * slack: bytes of a small slot behind what was asked for. kind: of malloc 0, new 1, new[] 2.
 */
#define FH_HARD_VERSION 1

enum fh_hard_state {
    FH_HARD_NEVER = 0, /* not handed out yet */
    FH_HARD_LIVE = 1,
    FH_HARD_QUARANTINED = 2, /* freed: kept back, or by now in the cache of a thread */
    FH_HARD_FREE = 3,
    FH_HARD_CACHED = 4, /* not freed lately, and in the cache of a thread */
    FH_HARD_GONE = 5    /* freed, and never handed out again */
};

#define FH_HARD_STATE(word) ((word)&7u)
#define FH_HARD_KIND(word) ((word) >> 3 & 7u)
#define FH_HARD_SLACK(word) ((word) >> 16)

enum fh_hard_region_kind {
    FH_HARD_NONE = 0,
    FH_HARD_ZERO = 1, /* of malloc(0): there is no memory, every access faults */
    FH_HARD_SMALL = 2,
    FH_HARD_LARGE = 3,
    FH_HARD_SAMPLED = 4
};

struct fh_hard_region {
    uint64_t reserved;
    uint32_t size;      /* bytes of a slot; large: 0 */
    uint16_t slots;     /* of a slab; large: of a chunk, 1 at least */
    uint8_t slab_shift; /* large: of a slot */
    uint8_t kind;       /* enum fh_hard_region_kind */
    uint16_t size_class;
    uint8_t bucket; /* by who asked for the blocks */
    uint8_t reserved2;
    uint16_t words; /* of 64 free bits for a slab */
    uint16_t reserved3;
    uint32_t words_at;
};

struct fh_hard_slab {
    uint32_t next, prev;
    uint16_t free;
    uint16_t
        carved; /* slots that exist: what lies behind them was never handed out, or given back */
    uint16_t queued, emptied;
};

struct fh_hard_large {
    uint32_t word;
    uint32_t thread;      /* kernel's id of who made it */
    uint64_t start, size; /* what was asked for, from where */
    uint64_t pages;       /* where the page of its last byte ends */
    uint32_t next, guarded;
    uint64_t open, open_end; /* freed: pages that are there still */
    uint64_t front;          /* live: where such pages begin, if that is before the block; 0 not */
};

struct fh_hard_sample {
    uint32_t word;
    uint32_t serial;
    uint64_t start, size;
};

/* Memory of the allocator's own, beside the reservations: no address in it is a reference. */
#define FH_HARD_OWN 16

struct fh_hard_range {
    uint64_t start, bytes;
};

struct fh_hard {
    uint32_t version; /* FH_HARD_VERSION */
    uint32_t size;    /* bytes of this structure */
    uint32_t level;   /* 0 light, 1 standard, 2 strict; single measures may differ from it */
    uint32_t chunk_shift;
    uint64_t base, bytes; /* the reservation of blocks */
    uint64_t meta;        /* of chunk 0 */
    uint32_t meta_shift;
    uint32_t region_count;
    uint64_t reserved_base,
        reserved_bytes; /* the whole reservation around `meta`, threads' records too */
    uint64_t owner;
    uint64_t regions; /* struct fh_hard_region, of `region_size` bytes each */
    uint32_t region_size;
    uint32_t large_size;                /* from one fh_hard_large to the next */
    uint64_t sample_base, sample_bytes; /* the reservation of sampled blocks; 0: there are none */
    uint64_t samples;                   /* struct fh_hard_sample, of `sample_size` bytes each */
    uint32_t sample_count;
    uint32_t sample_size;
    uint64_t threads;                      /* records of threads that there ever were */
    struct fh_hard_range own[FH_HARD_OWN]; /* those behind the last are of 0 bytes */
};

/* ---- events --------------------------------------------------------------------------------- */

/* What happened lately: the last FH_EVENTS events of the process. Event n is in record n % FH_EVENTS.
 * A record is whole if its `sequence` is 2n + 2 before and after it was read; 2n + 1: it is being written;
 * more: it was overwritten by a later one; less: the event was never written, or not yet. */
#define FH_EVENTS 4096
#define FH_EVENTS_MAGIC "FHEVENT"
#define FH_EVENTS_VERSION 1

struct fh_event_record {
    uint64_t sequence;
    uint64_t time_ns; /* CLOCK_MONOTONIC */
    uint64_t value;
    uint64_t what; /* kind, source << 8, detail << 16, number << 32 */
};

/* Kinds 1 to 63 are the collector's, enum fh_gc_event_kind: their source is the number of the heap and
 * their number that of the collection. Codes are never used again for something else. */
struct fh_event_ring {
    char magic[8]; /* zero until there are events */
    uint32_t version;
    uint32_t size; /* bytes of this structure */
    uint32_t records;
    uint32_t record_size;
    uint64_t next;    /* events so far */
    uint64_t dropped; /* of them, never written: their record was just being written or newer */
    struct fh_event_record record[FH_EVENTS];
};

/* ---- usage, and the file of `freehold run` -------------------------------------------------- */

/* Where the bytes are. Every number is in bytes. */
struct fh_usage {
    uint64_t live;          /* blocks in use by the program, rounded up to their size class */
    uint64_t free_in_slabs; /* touched, in slabs that also hold live blocks */
    uint64_t thread_lists;  /* free, in lists from which a thread allocates next */
    uint64_t remote;        /* freed by another thread, not yet collected by their owner */
    uint64_t dirty;         /* whole free spans, kept for reuse until the purge delay has passed */
    uint64_t metadata;      /* Freehold's own */
};

/* `option run_file=PATH` makes the library keep one slot for its process in that file, so that
 * `freehold run` can tell what a process did however it ends. The file is an array of
 * FH_RUN_SLOTS structures; slot 0's `claimed` counts the slots in use. Only a file that
 * `freehold run` made is ever written to: in memory (memfd), of just this size, sealed against
 * another, with the magic in slot 0. Every other file is left alone. */
#define FH_RUN_MAGIC "FHRUN-4" /* the number changes with the structure */
#define FH_RUN_SLOTS 256
#define FH_RUN_BUCKETS 48 /* by powers of two of the size: 16, 32, ... */

/* `freehold run --leaks` looks into a process when it ends by exit(): that process asks for it in its slot,
 * sends the command SIGURG, and waits until it may go on or the command is gone. */
#define FH_LOOK_EVERY UINT32_MAX
enum fh_run_look {
    FH_LOOK_NONE = 0,
    FH_LOOK_ASKED = 1,     /* the process stands at its end */
    FH_LOOK_GO_ON = 2,     /* it was looked at, or will not be */
    FH_LOOK_LOCKED_IN = 3, /* it did not ask, since a sandbox of its own might kill it for that */
    FH_LOOK_FORBIDDEN = 4, /* nor this one: its user is not permitted to signal the command */
    FH_LOOK_UNFOUND = 5    /* nor this one: it cannot find the command (chroot), or that is gone */
};

struct fh_run_slot {
    char magic[8];    /* slot 0 only */
    uint32_t claimed; /* slot 0 only */
    uint32_t pid;
    uint32_t parent;
    uint32_t finished; /* 1: the library saw an orderly exit */
    uint32_t stands;   /* 1: the heap stands; 0: it could not be set up, and a line said why */
    uint32_t reserved;
    uint64_t image; /* a random number that differs from one executed program to the next */
    uint64_t started_ms;
    uint64_t updated_ms;
    char program[64];
    struct fh_usage peak; /* when `live` was highest; memory inherited by a fork counts */
    struct fh_usage last; /* at exit, or at the last update */
    uint64_t peak_held;   /* the most of all six together, at any time */
    uint64_t allocated;   /* blocks handed out; these and what follows since the fork, if any */
    uint64_t allocated_bytes;
    uint64_t purged_bytes;
    uint64_t peak_rss; /* 0 when not known; bytes */
    uint32_t threads_peak;
    uint32_t heaps;
    uint64_t bucket[FH_RUN_BUCKETS]; /* blocks handed out with 2^i < size class <= 2^(i+1) */
    uint64_t purge_delay_ms;
    uint32_t look_pid; /* slot 0 only: the process to be looked into, or FH_LOOK_EVERY; 0: none */
    uint32_t look_by;  /* slot 0 only: the command */
    uint32_t look;     /* enum fh_run_look */
    uint32_t
        plug_pid; /* slot 0 only: the process into which the command looks for option plug; 0: none */
    uint32_t plug_by; /* slot 0 only: who looks */
    uint32_t unused;
};

#ifdef __cplusplus
}
#endif
#endif
