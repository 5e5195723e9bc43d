/* os/tag.h for tests: tags of granules in a table, on any machine. Accesses are not checked. */
#include "os/tag.h"

enum { PLACES = 1 << 16 };
static struct {
    uintptr_t granule[PLACES]; /* open addressing; never removed */
    uint8_t tag[PLACES];
} fake_tags;

bool fake_tags_unchecked; /* os_tag_check(false) was the last */

static size_t place_of(uintptr_t p)
{
    uintptr_t granule = (p << (64 - OS_TAG_SHIFT) >> (64 - OS_TAG_SHIFT)) / OS_TAG_GRANULE;
    size_t at = (granule * 0x9e3779b97f4a7c15) >> 48;
    while (fake_tags.granule[at] != granule && fake_tags.granule[at]) at = (at + 1) % PLACES;
    fake_tags.granule[at] = granule;
    return at;
}

bool os_tag_start(void)
{
    return true;
}

bool os_tag_memory(void *p, size_t size)
{
    (void)p, (void)size;
    return true;
}

void os_tag_set(void *p, size_t size, unsigned tag)
{
    for (uintptr_t at = (uintptr_t)p; at < (uintptr_t)p + size; at += OS_TAG_GRANULE)
        fake_tags.tag[place_of(at)] = (uint8_t)tag;
}

unsigned os_tag_get(const void *p)
{
    return fake_tags.tag[place_of((uintptr_t)p)];
}

void os_tag_check(bool yes)
{
    fake_tags_unchecked = !yes;
}
