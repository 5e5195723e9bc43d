/*
 * verify: is all as the allocator left it? Of every slot its canary, of live ones what lies behind what was asked
 * for, of free ones that they are clear still, as far as the measures in force make them so.
 *
 * Other threads go on meanwhile. A slot's word is read before and after its bytes: what changed in between is
 * passed over. The word can have gone round and be the same again; but words of free slots change only under
 * their region's lock, which is held, and what is wrong with a live one must be so in several looks, with a
 * barrier of all threads between them. Slots in another thread's quarantine are not looked at but for their
 * canaries: that thread may be clearing one just now. They are looked at when they are handed out. So are those of
 * this thread in the child of a fork, since its number may be that of a thread that is not there.
 */
#ifndef HARD_VERIFY_H
#define HARD_VERIFY_H

#include "hard/zone.h"
#include "hard/thread.h"

/* All slots, or a zone's. Reports each that is damaged, for `call`, and mends it if the program is to go on.
 * Returns how many were. Not to be called with a lock held. */
size_t verify_all(struct hard_thread *thread, const struct zone *zone, const char *call);

/* The helper's visit (span/purger.h): the next of the small slots, going round, until a MiB of them or two milliseconds
 * are over; zones and large blocks are left to verify_all. Here nobody has asked, so it must be beyond doubt what is wrong:
 * of free slots only those have to be clear whose state the region's lock keeps, and what seems damaged must be so many
 * times over, with the same word around each look. Returns verify_stays. */
bool verify_round(void);

/* The helper is to be there for this alone. */
extern bool verify_stays;

#endif
