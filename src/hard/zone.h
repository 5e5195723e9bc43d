/*
 * zone: regions that the program makes for itself: private zones. A zone has chunks of its own, which serve
 * nobody else, ever: not while it lives, and not when it is destroyed, since they then fault for the rest of
 * the process's life.
 *
 *     hard.region   | malloc's regions | ... | zone 1, 48 bytes | zone 1, 64 bytes | zone 2, 512 bytes | ...
 *                   sealed               HARD_ZONE_FIRST: pages that are unsealed while a region is added
 *     a zone        a page of its own, sealed: name, secret, which region serves which class
 *
 * A zone of one block size has one region; one of mixed sizes gets a region for a class when it first asks
 * for it. Threads keep no slots of zones: each block is taken from its region at once. Freed ones go through
 * the thread's quarantine as all others do. Blocks are of a kind that is no call's (KIND_ZONE): so the fast
 * paths of malloc and free know nothing of zones, and every free of such a block goes the slow way.
 *
 *     OPEN --seal--> SEALED --unseal--> OPEN        sealed: read-only; nothing is made or freed
 *     OPEN, SEALED --destroy--> DESTROYED           its handle is never given out again either
 *
 * Regions, zones and addresses are not used again: HARD_TABLE - HARD_ZONE_FIRST regions is what a process can
 * have in its life. (Rejected: to reuse a destroyed zone's entry of the table. Quarantines name regions by
 * number, and would have to be searched.)
 *
 * Who makes, resizes or frees a block of a zone holds the zone meanwhile (zone_enter), and so does who seals or
 * destroys it: nobody clears a block while its pages become read-only or go. Fork does not take it: what a
 * vanished thread was in the middle of is one block.
 *
 * Lock order: a zone, then zones.lock, then a region's.
 */
#ifndef HARD_ZONE_H
#define HARD_ZONE_H

#include "hard/central.h"

#define ZONE_NAME 48
#define ZONE_CLASS_LEAST 2 /* slots of 32 bytes: then the tags find room behind the words */

enum zone_state { ZONE_NONE, ZONE_OPEN, ZONE_SEALED, ZONE_DESTROYED };
enum zone_flags { ZONE_PINNED = 1, ZONE_TAGGED = 2 };

/* What was not respected, for reports. */
enum zone_rule {
    ZONE_KEPT,
    ZONE_NO_HANDLE,
    ZONE_IS_SEALED,
    ZONE_OTHER_CORE,
    ZONE_OTHER,
    ZONE_BAD_TAG
};

struct zone {
    uint32_t number;
    uint32_t state; /* enum zone_state */
    uint32_t flags;
    uint32_t core;   /* it was made on; for ZONE_PINNED */
    uint64_t secret; /* of its tags */
    size_t block;    /* bytes of its blocks at most; 0: any */
    char name[ZONE_NAME];
    uint16_t
        region_of[HARD_CLASSES + HARD_LARGE_COUNT]; /* its number in hard.region; 0: none yet */
};

/* NULL: no room for more zones or no memory. Blocks of up to `block` bytes, or of all sizes if that is 0. */
struct zone *zone_create(const char *name, size_t block, unsigned flags);

/* One thread at a time: it may be neither sealed nor destroyed meanwhile. Not recursive. */
void zone_enter(const struct zone *zone);
void zone_leave(const struct zone *zone);

/* Its memory faults from now on. Frees of its blocks are told as those of freed blocks. Returns the bytes of
 * small slots that were live. */
uint64_t zone_destroy(struct zone *zone);

/* False: the kernel refuses; then all is as it was, or (unseal) partly sealed still. */
bool zone_seal(struct zone *zone);
bool zone_unseal(struct zone *zone);

/* Whether it is a zone's handle, of a zone not destroyed, whatever `p` is. */
bool zone_is(const void *p);

/* The zone that a region belongs to, destroyed or not. */
struct zone *zone_of(const struct region *region);

/* The same for a region that may be a zone's. */
FH_INLINE void zone_enter_of(const struct region *region)
{
    if (region_is_zone(region)) zone_enter(zone_of(region));
}

FH_INLINE void zone_leave_of(const struct region *region)
{
    if (region_is_zone(region)) zone_leave(zone_of(region));
}

/* Whether blocks may be made and freed now, by this thread. Holds: the zone. */
enum zone_rule zone_allows(const struct zone *zone);

/* Its region for slots of this class, or for large slots of 2^(16 + i) bytes; NULL: memory is out. */
const struct region *zone_region(struct zone *zone, unsigned size_class);
const struct region *zone_region_large(struct zone *zone, unsigned i);

/* ---- tags: the top byte of a pointer, right for one life of one block --------------------------------- */

/* A block is handed out: pointers to its slot's earlier lives have another tag from now on. */
void zone_tag_renew(const struct slot *slot, uint8_t random);

/* From 1 to 255. */
uint8_t zone_tag(const struct slot *slot);

/* ---- tags of the processor's: flag ZONE_TAGGED -------------------------------------------------------------
 *
 *     a slot   | what was asked for, in granules | slack, canary |      memory of the slot before or behind
 *     tag      | t, from 1 to 15                 | 0             |      never t; freed: 0 all over
 *
 * The pointer that the program gets has t in bits 56 to 59. Here all is read and written by plain pointers, with
 * checks off from zone_enter to zone_leave. Such zones are of small blocks, of one region. */

/* Memory of a zone's region is committed. False: it cannot be tagged. */
bool zone_committed(const struct region *region, void *p, size_t size);

/* A new block of `size` bytes: its pointer. Holds: the zone. */
void *zone_block_tag(const struct slot *slot, size_t size, uint8_t random);

/* It is freed. Of other zones and malloc's regions: nothing. Holds: the zone. */
void zone_block_untag(const struct slot *slot);

/* p without the processor's tag, if it points into a zone that has them; else p itself. */
void *zone_plain(const void *p);

/* Whether p, into a live block, has the tag of that; true where there are none. Holds: the zone. */
bool zone_plain_fits(const struct slot *slot, const void *p);

/* All tags of the zone change. */
bool zone_tags_rotate(struct zone *zone);

/* ---- */

void zone_start(bool names);
void zone_fork_prepare(void);
void zone_fork_parent(void);
void zone_fork_child(void);

#endif
