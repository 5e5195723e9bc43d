/*
 * freehold/plug.h - the mailbox of option plug: what `freehold` has found lost, for the library to give back.
 *
 * A process with the option holds one `struct fh_plug_box`, apart from the program's memory; `fh_registry.plug` is
 * its address. The command looks for what is lost from outside and writes one list at a time; the library takes it
 * when a thread comes by for memory. Nothing in the box is believed: neither side writes beyond its own half, and of
 * a list only those entries count of which the heap itself says that they are blocks in use of just that size, with
 * the same bytes in them as when they were seen.
 *
 *     command:  sequence := odd | entries, count, checksum | sequence := even        (a half-written list is odd, or
 *     library:  taken < sequence: checks, frees ... | taken := sequence                its checksum is wrong)
 *
 * A block that nothing points to stays what it is until the library gives it back. So a list holds as long as nothing
 * was given back since the second look: `version` counts what was, and a list names the version that its look saw.
 * Lists of the same look follow each other, ascending, and so never name a block twice.
 *
 * An entry has the block's distance from `fh_registry.base` and not its address: a list is no reference to the block.
 */
#ifndef FREEHOLD_PLUG_H
#define FREEHOLD_PLUG_H

#include <stddef.h>
#include <stdint.h>

#include <freehold/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FH_PLUG_MAGIC "FHPLUG-"
#define FH_PLUG_VERSION 1
#define FH_PLUG_ENTRIES 16384               /* of one list */
#define FH_PLUG_SIZES (FH_CLASSES + 2)      /* size classes; blocks of 8 to 64 KiB; larger ones */
#define FH_PLUG_HASH ((uint64_t)0x6a09e667) /* where a hash begins, with that of its second half */

struct fh_plug_entry {
    uint64_t offset; /* of the block, from the registry's base */
    uint64_t size;   /* of the block, rounded up to 16 */
    uint64_t hash;   /* of all its bytes */
};

/* Written by the command. */
struct fh_plug_head {
    uint64_t sequence; /* even: whole */
    uint64_t image;    /* the box that it is for */
    uint64_t look;     /* a random number for each look */
    uint64_t version;  /* the box's, as the look saw it */
    uint64_t count;    /* of entries; 0: the list before is withdrawn */
    uint64_t checksum; /* fh_plug_checksum */
};

struct fh_plug_list {
    struct fh_plug_head head;
    struct fh_plug_entry entry[FH_PLUG_ENTRIES];
};

struct fh_plug_box {
    char magic[8];
    uint32_t layout; /* FH_PLUG_VERSION */
    uint32_t size;   /* bytes of this structure */
    uint32_t pid;
    uint32_t entries;
    uint64_t
        image; /* a random number for each program that is executed, and each child of a fork */
    uint64_t age_ms; /* the options */
    uint64_t rate;   /* bytes a second */
    /* Written by the library. */
    uint64_t version; /* blocks given back, by this process and those that it was forked from */
    uint64_t taken;   /* sequence of the last list that is done with */
    uint64_t lists;   /* that were good */
    uint64_t lists_refused;        /* not for us, torn, or older than what was given back since */
    uint64_t blocks;               /* given back, by this process */
    uint64_t bytes;                /* in them */
    uint64_t gone;                 /* entries that named no block in use of that size */
    uint64_t changed;              /* entries whose block was written to since */
    uint64_t freed[FH_PLUG_SIZES]; /* blocks given back, by size */
    uint64_t freed_runs_bytes;     /* in those of 8 to 64 KiB */
    uint64_t freed_large_bytes;    /* in larger ones */
    /* Written by the command. */
    uint32_t looker; /* its process, as the process that is looked into sees it, or 0 */
    uint32_t reserved;
    struct fh_plug_list list;
};

/* ---- the hash: two lanes, so that a processor has something to do while it multiplies ------------------ */

struct fh_plug_hash {
    uint64_t lane[2];
};

static inline struct fh_plug_hash fh_plug_hash_begin(void)
{
    struct fh_plug_hash h = {{FH_PLUG_HASH, ~FH_PLUG_HASH}};
    return h;
}

/* Bytes that are a multiple of 16; each step is one to one, so that no single word can change unseen. */
static inline void fh_plug_hash_add(struct fh_plug_hash *h, const void *bytes, size_t size)
{
    uint64_t a = h->lane[0], b = h->lane[1], word[2];
    for (size_t i = 0; i < size; i += sizeof word) {
        __builtin_memcpy(word, (const char *)bytes + i, sizeof word);
        a = (a ^ word[0]) * UINT64_C(0x9e3779b97f4a7c15);
        b = (b ^ word[1]) * UINT64_C(0xc2b2ae3d27d4eb4f);
        a ^= a >> 32;
        b ^= b >> 29;
    }
    h->lane[0] = a;
    h->lane[1] = b;
}

static inline uint64_t fh_plug_hash_end(const struct fh_plug_hash *h)
{
    return (h->lane[0] ^ (h->lane[1] << 31 | h->lane[1] >> 33)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Of the head, but for the sum itself, and its entries. */
static inline uint64_t fh_plug_checksum(const struct fh_plug_head *head,
                                        const struct fh_plug_entry *entries)
{
    struct fh_plug_hash h = fh_plug_hash_begin();
    struct fh_plug_head summed = *head;
    summed.checksum = 0;
    fh_plug_hash_add(&h, &summed, sizeof summed);
    for (uint64_t i = 0; i < head->count; i++) {
        uint64_t entry[4] = {entries[i].offset, entries[i].size, entries[i].hash, i};
        fh_plug_hash_add(&h, entry, sizeof entry);
    }
    return fh_plug_hash_end(&h);
}

#ifdef __cplusplus
}
#endif
#endif
