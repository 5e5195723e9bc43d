/* See reuse_core.h. */
#include "hard/reuse_core.h"

#include "hard/reuse.h"
#include "hard/slot.h"

static const struct hard_call by_site = {
    .name = "malloc", .kind = KIND_MALLOC, .bucket = HARD_BY_SITE};
static const struct hard_call of_data = {
    .name = "malloc", .kind = KIND_MALLOC, .bucket = HARD_BUCKET_DATA};
static const struct hard_call at_end = {.name = "free", .kind = KIND_MALLOC};

void *core_allocate(size_t size, bool data)
{
    bool zeroed;
    void *p = hard_allocate(hard_attach(), size, data ? &of_data : &by_site, &zeroed);
    CHECK(p);
    return p;
}

void core_free_later(void *p)
{
    hard_free(hard_attach(), p, SIZE_MAX, &at_end);
}

void core_flush(void)
{
    hard_flush(hard_self, true);
    reuse_thread_end();
}

void core_free(void *p)
{
    core_free_later(p);
    hard_flush(hard_self, true);
}

bool core_waits(const void *p)
{
    struct slot slot;
    CHECK(hard_slot_find(p, &slot));
    return hard_state(LOAD(slot.word)) == SLOT_QUARANTINED;
}
