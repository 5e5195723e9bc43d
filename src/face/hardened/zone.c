/* freehold/zone.h: zones, tags, types. What is wrong with a handle or a block is told by hard_zone_report. */
#include <freehold/zone.h>

#include <errno.h>
#include <string.h>

#include "face/hardened/hardened.h"
#include "hard/report.h"
#include "hard/slot.h"
#include "hard/walk.h"
#include "os/tag.h"

static_assert(FH_ZONE_NAME == ZONE_NAME && FH_ZONE_PINNED == (int)ZONE_PINNED &&
                  FH_ZONE_TAGGED == (int)ZONE_TAGGED,
              "said twice");

enum { TAG_SHIFT = 56 };

/* ---- handles and blocks ------------------------------------------------------------------------------- */

static bool handle_holds(const fh_zone *zone, const char *name)
{
    if (LIKELY(zone_is(zone))) return true;
    hard_zone_report(name, zone, ZONE_NO_HANDLE);
    return false;
}

/* p is the start of a live block of the zone. */
static bool zone_holds(const fh_zone *zone, const void *p, struct slot *slot)
{
    return hard_slot_find(zone_plain(p), slot) && region_is_zone(slot->region) &&
           zone_of(slot->region) == zone;
}

/* ---- create, destroy ------------------------------------------------------------------------------------ */

PUBLIC fh_zone *fh_zone_create(const char *name, size_t block, unsigned flags)
{
    bool tagged = flags & FH_ZONE_TAGGED;
    bool small = block > 0 && block <= HARD_SMALL_MOST - HARD_CANARY;
    if (name == NULL || flags & ~(unsigned)(FH_ZONE_PINNED | FH_ZONE_TAGGED) ||
        (tagged && !small)) {
        errno = EINVAL;
        return NULL;
    }
    if (tagged && !os_tag_start()) {
        errno = EOPNOTSUPP;
        return NULL;
    }
    fh_zone *zone = face_start() ? zone_create(name, block, flags) : NULL;
    return zone ? zone : hardened_no_memory("fh_zone_create", block);
}

PUBLIC void fh_zone_destroy(fh_zone *zone)
{
    if (zone == NULL || !handle_holds(zone, "fh_zone_destroy")) return;
    uint64_t live = zone_destroy(zone);
    struct hard_thread *thread = hardened_self();
    if (thread) thread->freed_bytes += live;
}

PUBLIC const char *fh_zone_name(const fh_zone *zone)
{
    return handle_holds(zone, "fh_zone_name") ? zone->name : "";
}

/* ---- allocate, free --------------------------------------------------------------------------------------- */

static FH_COLD void *refuse(fh_zone *zone, enum zone_rule rule, const char *name)
{
    if (rule != ZONE_IS_SEALED) hard_zone_report(name, zone, rule);
    errno = EACCES;
    return NULL;
}

static void *allocate_in_zone(fh_zone *zone, size_t size, const struct hard_call *call)
{
    enum zone_rule rule;
    if (!handle_holds(zone, call->name)) {
        errno = EINVAL;
        return NULL;
    }
    if (zone->block && size > zone->block) {
        errno = EINVAL;
        return NULL;
    }
    struct hard_thread *thread = hardened_self();
    if (thread == NULL) return hardened_no_memory(call->name, size);
    void *p = hard_allocate_zone(thread, zone, size, call, &rule);
    if (UNLIKELY(rule != ZONE_KEPT)) return refuse(zone, rule, call->name);
    return LIKELY(p) ? p : hardened_no_memory(call->name, size);
}

PUBLIC void *fh_zone_allocate(fh_zone *zone, size_t size)
{
    return allocate_in_zone(zone, size, CALL("fh_zone_allocate"));
}

PUBLIC void *fh_zone_allocate_zeroed(fh_zone *zone, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return hardened_no_memory("fh_zone_allocate_zeroed", SIZE_MAX);
    void *p = allocate_in_zone(zone, bytes, CALL("fh_zone_allocate_zeroed"));
    return p ? memset(p, 0, bytes) : NULL;
}

PUBLIC char *fh_zone_strdup(fh_zone *zone, const char *text)
{
    size_t size = strlen(text) + 1;
    char *p = allocate_in_zone(zone, size, CALL("fh_zone_strdup"));
    return p ? memcpy(p, text, size) : NULL;
}

/* Whether p may be freed by way of this handle, as far as handle and address say it; a report if not. */
static bool may_free(fh_zone *zone, const void *p, const char *name)
{
    struct slot slot;
    if (!handle_holds(zone, name)) return false;
    if (zone_holds(zone, p, &slot)) return true;
    hard_zone_report(name, p, ZONE_OTHER);
    return false;
}

#define CALL_ANY(call_name) (&(struct hard_call){.name = (call_name), .kind = KIND_ANY})

PUBLIC void fh_zone_free(fh_zone *zone, void *p)
{
    if (p && may_free(zone, p, "fh_zone_free"))
        hard_free(hard_self, p, SIZE_MAX, CALL_ANY("fh_zone_free"));
}

PUBLIC void fh_zone_free_permanently(fh_zone *zone, void *p)
{
    if (p && may_free(zone, p, "fh_zone_free_permanently"))
        hard_free_permanently(hard_self, p, CALL_ANY("fh_zone_free_permanently"));
}

PUBLIC void fh_free_permanently(void *p)
{
    if (p && face_start()) hard_free_permanently(hard_self, p, CALL_ANY("fh_free_permanently"));
}

/* ---- seal --------------------------------------------------------------------------------------------------- */

PUBLIC int fh_zone_seal(fh_zone *zone)
{
    if (!handle_holds(zone, "fh_zone_seal")) return -EINVAL;
    if (zone->flags & ZONE_TAGGED) return -EOPNOTSUPP;
    return zone_seal(zone) ? 0 : -ENOMEM;
}

PUBLIC int fh_zone_unseal(fh_zone *zone)
{
    if (!handle_holds(zone, "fh_zone_unseal")) return -EINVAL;
    return zone_unseal(zone) ? 0 : -ENOMEM;
}

/* ---- tags --------------------------------------------------------------------------------------------------- */

static uintptr_t tag_bits(const struct slot *slot)
{
    return (uintptr_t)zone_tag(slot) << TAG_SHIFT;
}

static const void *without_tag(const void *p)
{
    return (const void *)((uintptr_t)p & (((uintptr_t)1 << TAG_SHIFT) - 1));
}

static bool is_live_in(const fh_zone *zone, const void *p, struct slot *slot)
{
    return zone_holds(zone, p, slot) && hard_state(LOAD(slot->word)) == SLOT_LIVE &&
           (uintptr_t)p == slot->start;
}

static bool tag_holds(const fh_zone *zone, const void *tagged)
{
    struct slot slot;
    const void *p = without_tag(tagged);
    return is_live_in(zone, p, &slot) && ((uintptr_t)p | tag_bits(&slot)) == (uintptr_t)tagged;
}

PUBLIC void *fh_zone_tag(const fh_zone *zone, const void *p)
{
    struct slot slot;
    if (!handle_holds(zone, "fh_zone_tag")) return NULL;
    if (is_live_in(zone, p, &slot)) return (void *)((uintptr_t)p | tag_bits(&slot));
    hard_zone_report("fh_zone_tag", p, ZONE_OTHER);
    return NULL;
}

PUBLIC int fh_zone_tag_check(const fh_zone *zone, const void *tagged)
{
    return zone_is(zone) && tag_holds(zone, tagged) ? 0 : -EINVAL;
}

PUBLIC void *fh_zone_untag(const fh_zone *zone, const void *tagged)
{
    if (!handle_holds(zone, "fh_zone_untag")) return NULL;
    if (LIKELY(tag_holds(zone, tagged))) return (void *)without_tag(tagged);
    hard_zone_report("fh_zone_untag", without_tag(tagged), ZONE_BAD_TAG);
    return NULL;
}

PUBLIC int fh_zone_rotate(fh_zone *zone)
{
    if (!handle_holds(zone, "fh_zone_rotate")) return -EINVAL;
    return zone_tags_rotate(zone) ? 0 : -ENOMEM;
}

/* ---- types -------------------------------------------------------------------------------------------------- */

PUBLIC void *fh_malloc_data(size_t size)
{
    return hardened_allocate(size, CALL_IN("fh_malloc_data", HARD_BUCKET_DATA));
}

/* FNV-1a from the secret on; then as a call's site is taken. */
PUBLIC void *fh_malloc_typed(size_t size, const char *type)
{
    struct hard_call call = *CALL("fh_malloc_typed");
    if (UNLIKELY(hard.size == 0) && !face_start()) return NULL;
    uint64_t hash = hard.site_secret ^ 0xcbf29ce484222325;
    for (; *type; type++) hash = (hash ^ (uint8_t)*type) * 0x100000001b3;
    call.site = hash ^ hash >> 32;
    return hardened_allocate(size, &call);
}
