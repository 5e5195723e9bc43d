/* See space.h. */
#include <string.h>

#include "base/format.h"
#include "hard/space.h"
#include "os/guard.h"
#include "os/say.h"

enum {
    RESERVE_ALIGN = 64 << 10,
    CHUNK_SHIFT_LEAST = 20, /* a slab of the largest slots */
    CHUNK_SHIFT_MOST = 26,
    META_ENDS = 1 << 20, /* nothing of anybody lies next to what we keep */
    RECORDS_MOST = 256 << 20,
    RECORDS_STEP = 64 << 10,
    NARROW_SHIFT = 35,
    MAPPINGS_MOST = 12000, /* of 65530 that a process has by default */
    ADDRESS_BITS = 47,
    OWNERS_AT_ONCE = 32,
};

struct hard_space hard;

static struct {
    struct lock lock;
    struct random random;
    uint32_t chunks;
    uint32_t mappings; /* spent on guards */
    uintptr_t meta;
    size_t meta_size; /* all of it, records too */
    uintptr_t records, records_next, records_committed, records_end;
} space;

bool space_has_guards;
void (*space_taken)(unsigned region, void *start, size_t size);

uint64_t space_random(void)
{
    lock_take(&space.lock);
    uint64_t value = random_64(&space.random);
    lock_give(&space.lock);
    return value;
}

/* ---- reservations ---------------------------------------------------------------------------------- */

/* At a place of our own choice: the kernel's would be near its other mappings, and they near each other. */
static uintptr_t reserve(size_t size)
{
    enum { TRIES = 16 };
    uintptr_t room = ((uintptr_t)1 << ADDRESS_BITS) - size - ((uintptr_t)1 << 33);
    for (int i = 0; i < TRIES; i++) {
        uint64_t at = (uint64_t)((unsigned __int128)random_64(&space.random) * room >> 64);
        uintptr_t start = base_round_down(at + ((uintptr_t)1 << 32), RESERVE_ALIGN);
        if (os_vm_reserve_at(start, size)) return start;
    }
    return (uintptr_t)os_vm_reserve(size, RESERVE_ALIGN);
}

static bool counts_commitments(void)
{
    char mode = '0';
    int fd = os_file_open("/proc/sys/vm/overcommit_memory");
    if (fd < 0) return false;
    os_file_read(fd, &mode, 1);
    os_file_close(fd);
    return mode == '2';
}

/* A 4096th of all: there are some four hundred regions, and each may want several. */
static unsigned chunk_shift_for(size_t size)
{
    enum {
        OF_COUNTED = 22
    }; /* each chunk counts a quarter of its size, whether it is used or not */
    unsigned shift = (unsigned)base_max(base_log2(size), 12) - 12,
             most = counts_commitments() ? OF_COUNTED : CHUNK_SHIFT_MOST;
    return shift < CHUNK_SHIFT_LEAST ? CHUNK_SHIFT_LEAST : shift > most ? most : shift;
}

static bool space_reserve(size_t size)
{
    size = base_round_down(size, RESERVE_ALIGN);
    size_t meta = (size >> HARD_META_SHIFT) + 2 * (size_t)META_ENDS;
    size_t records = base_min(RECORDS_MOST, base_round_up(size / 16, RECORDS_STEP));
    hard.base = reserve(size);
    if (hard.base == 0) return false;
    hard.meta = reserve(meta + records);
    if (hard.meta == 0) {
        os_vm_release((void *)hard.base, size);
        return false;
    }
    os_vm_dump((void *)hard.base, size, false);
    os_vm_dump((void *)hard.meta, meta + records, false);
    os_vm_name((void *)hard.base, size, SPACE_NAME);
    os_vm_name((void *)hard.meta, meta + records, "freehold:meta");
    space.meta = hard.meta;
    space.meta_size = meta + records;
    space.records = space.records_next = space.records_committed = hard.meta + meta;
    space.records_end = space.records + records;
    hard.meta += META_ENDS;
    hard.chunk_shift = chunk_shift_for(size);
    hard.size = size = base_round_down(size, (size_t)1 << hard.chunk_shift);
    space.chunks = (uint32_t)(size >> hard.chunk_shift);
    return true;
}

/* What is not marked gcore writes, read or not: terabytes. */
bool space_commit(void *p, size_t size)
{
    if (!os_vm_commit(p, size)) return false;
    os_vm_dump(p, size, true);
    return true;
}

bool space_decommit(void *p, size_t size)
{
    if (!os_vm_decommit(p, size)) return false;
    os_vm_dump(p, size, false);
    return true;
}

static bool space_reserve_some(size_t size)
{
    enum { LEAST = 64 << 20 };
    size_t left = os_vm_address_space_left();
    if (left != SIZE_MAX) size = base_min(size, left / 8 * 5);
    for (; size >= LEAST; size /= 2)
        if (space_reserve(size)) return true;
    os_say("freehold",
           "cannot reserve address space for a hardened heap (even 64 MiB was refused); raise "
           "RLIMIT_AS (ulimit -v)");
    return false;
}

uintptr_t space_meta(void)
{
    return space.meta;
}

size_t space_meta_size(void)
{
    return space.meta_size;
}

void *space_record(size_t size)
{
    size = base_round_up(size, 64);
    lock_take(&space.lock);
    uintptr_t record = space.records_next, end = record + size;
    if (end > space.records_end) record = 0;
    if (record && end > space.records_committed) {
        size_t step = base_round_up(end - space.records_committed, RECORDS_STEP);
        step = base_min(step, space.records_end - space.records_committed);
        if (space_commit((void *)space.records_committed, step))
            space.records_committed += step;
        else
            record = 0;
    }
    if (record) space.records_next = end;
    lock_give(&space.lock);
    return (void *)record;
}

/* ---- the table of regions --------------------------------------------------------------------------- */

static uint32_t class_size(unsigned size_class)
{
    enum { EXACT = 64, STEPS = 8 };
    if (size_class <= EXACT) return size_class * 16;
    unsigned over = size_class - EXACT - 1, doubling = over / STEPS, step = over % STEPS + 1;
    return (uint32_t)((KIB << doubling) + ((KIB << doubling) / STEPS) * step);
}

static unsigned slab_shift_for(uint32_t size)
{
    unsigned shift = size <= 2 * KIB ? 16 : size <= 8 * KIB ? 18 : size <= 32 * KIB ? 19 : 20;
    return os_page_size() >= 64 * KIB && shift < 19 ? 19 : shift;
}

static unsigned window_for(uint32_t size)
{
    return size <= 512 ? 16 : size <= 2 * KIB ? 8 : size <= 8 * KIB ? 4 : 2;
}

static void region_small(struct region *region, unsigned size_class, unsigned bucket)
{
    uint32_t size = size_class ? class_size(size_class) : 16;
    region->kind = size_class ? REGION_SMALL : REGION_ZERO;
    region->size = size;
    region->size_class = (uint16_t)size_class;
    region->bucket = (uint8_t)bucket;
    region->slab_shift = (uint8_t)slab_shift_for(size);
    region->slots = (uint16_t)((((size_t)1 << region->slab_shift) - os_page_size()) / size);
    region->reciprocal = (((uint64_t)1 << 40) + size - 1) / size;
    region->window = (uint8_t)window_for(size);
    region->words = (uint16_t)((region->slots + 63) / 64);
    region->carve =
        (uint16_t)base_min(base_max(os_page_size() / size, region->window), region->slots);
    region->words_at = (uint32_t)((sizeof(struct slab) + region->words * sizeof(uint64_t))
                                  << (hard.chunk_shift - region->slab_shift));
}

static void region_large(struct region *region, unsigned i)
{
    region->kind = REGION_LARGE;
    region->slab_shift = (uint8_t)(16 + i);
    region->slots = 1;
    if (region->slab_shift < hard.chunk_shift)
        region->slots = (uint16_t)(1u << (hard.chunk_shift - region->slab_shift));
    region->bucket = HARD_BUCKET_DATA; /* whose blocks may hold anything: searched all the same */
    region->words = (uint16_t)((region->slots + 63) / 64);
    region->words_at = region->slots * (uint32_t)sizeof(struct large);
}

void region_make_zone(struct region *region, unsigned size_class)
{
    region_small(region, size_class, 0);
    region->window = 0;
    region->cache_at = HARD_CACHE_NONE;
}

void region_make_zone_large(struct region *region, unsigned i)
{
    region_large(region, i);
    region->bucket = 0;
}

static void regions_make(void)
{
    uint32_t at = 0;
    for (unsigned b = 0; b < HARD_BUCKETS; b++) {
        for (unsigned c = 0; c < HARD_CLASSES; c++) {
            struct region *region = &hard.region[c * HARD_BUCKETS + b];
            region_small(region, c, b);
            region->cache_at = at;
            at += (1u + 2u * region->window) * (uint32_t)sizeof(uintptr_t);
        }
    }
    for (unsigned c = 1; c < HARD_CLASSES; c++) /* sizes above the class before, up to this one's */
        for (uint32_t i = c == 1 ? 0 : class_size(c - 1) / 16 + 1; i <= class_size(c) / 16; i++)
            hard.class_of[i] = (uint8_t)c;
    CHECK(at <= HARD_CACHE_NONE);
    for (unsigned i = 0; i < HARD_LARGE_COUNT; i++)
        region_large(&hard.region[HARD_LARGE_FIRST + i], i);
}

static bool guards_work(void)
{
    char *page = os_vm_reserve(os_page_size(), os_page_size());
    if (page == NULL) return false;
    bool work = os_vm_commit(page, os_page_size()) && os_vm_guard_try(page);
    os_vm_release(page, os_page_size());
    return work;
}

bool space_start(const struct measures *measures, size_t size)
{
    if (!space_reserve_some(size)) return false;
    size_t owners = base_round_up(space.chunks * sizeof *hard.owner, os_page_size());
    hard.owner = os_vm_reserve(owners, os_page_size());
    if (hard.owner == NULL || !os_vm_commit(hard.owner, owners)) return false;
    space_has_guards = guards_work();
    hard.measures = *measures;
    if (hard.size >> NARROW_SHIFT == 0)
        hard.measures.buckets = 1; /* each region takes a chunk at least */
    hard.secret = random_64(&space.random) | 1;
    hard.site_secret = random_64(&space.random) | 1;
    regions_make();
    return true;
}

void space_seal(void)
{
    os_vm_readable(&hard, sizeof hard);
}

/* ---- chunks ----------------------------------------------------------------------------------------- */

static bool run_is_free(uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (hard.owner[first + i]) return false;
    return true;
}

/* Holds: the lock. */
static uint32_t run_find(uint32_t count)
{
    enum { TRIES = 64 };
    uint32_t runs = space.chunks / count;
    for (int i = 0; runs && i < TRIES; i++) {
        uint32_t first = (uint32_t)(random_64(&space.random) % runs) * count;
        if (run_is_free(first, count)) return first;
    }
    for (uint32_t i = 0; i < runs; i++)
        if (run_is_free(i * count, count)) return i * count;
    return UINT32_MAX;
}

uint32_t space_chunks(void)
{
    return space.chunks;
}

/* Whether none of these has one, most of which have not. */
static bool nobody_owns(const uint16_t *owner)
{
    uint64_t word[OWNERS_AT_ONCE * sizeof *owner / sizeof(uint64_t)], any = 0;
    memcpy(word, owner, sizeof word);
    for (size_t i = 0; i < sizeof word / sizeof *word; i++) any |= word[i];
    return any == 0;
}

uint32_t space_chunk_owned(uint32_t chunk)
{
    for (; chunk < space.chunks; chunk++) {
        while (chunk % OWNERS_AT_ONCE == 0 && chunk + OWNERS_AT_ONCE <= space.chunks &&
               nobody_owns(&hard.owner[chunk]))
            chunk += OWNERS_AT_ONCE;
        if (chunk < space.chunks && __atomic_load_n(&hard.owner[chunk], __ATOMIC_ACQUIRE)) break;
    }
    return (uint32_t)base_min(chunk, space.chunks);
}

uint32_t space_chunk_take(unsigned region, uint32_t count)
{
    lock_take(&space.lock);
    uint32_t first = run_find(count);
    if (first != UINT32_MAX &&
        space_commit((void *)chunk_meta(first), chunk_size() >> HARD_META_SHIFT)) {
        /* whoever finds an owner finds the meta data */
        for (uint32_t i = 0; i < count; i++)
            __atomic_store_n(&hard.owner[first + i], (uint16_t)(region + 1), __ATOMIC_RELEASE);
    } else {
        first = UINT32_MAX;
    }
    lock_give(&space.lock);
    if (space_taken && first != UINT32_MAX)
        space_taken(region, (void *)chunk_start(first), count * chunk_size());
    return first;
}

bool space_guard(void *p, size_t size)
{
    if (space_has_guards && os_vm_guard(p, size)) return true;
    if (__atomic_add_fetch(&space.mappings, 2, __ATOMIC_RELAXED) > MAPPINGS_MOST) {
        __atomic_sub_fetch(&space.mappings, 2, __ATOMIC_RELAXED);
        return false;
    }
    return os_vm_decommit(p, size);
}

/* ---- from an address to its slot ---------------------------------------------------------------------- */

static bool slot_find_large(uintptr_t offset, uint32_t chunk, const struct region *region,
                            struct slot *slot)
{
    uint32_t head = chunk & ~(region_run(region) - 1);
    size_t within = offset - ((uintptr_t)head << hard.chunk_shift);
    slot->index = (uint32_t)(within >> region->slab_shift);
    slot->slab = head;
    struct large *large = large_at(head, slot->index);
    slot->word = &large->word;
    slot->start = large->start;
    return true;
}

bool hard_slot_find(const void *p, struct slot *slot)
{
    uintptr_t offset = (uintptr_t)p - hard.base;
    if (offset >= hard.size) return false;
    uint32_t chunk = (uint32_t)(offset >> hard.chunk_shift);
    unsigned owner = __atomic_load_n(&hard.owner[chunk], __ATOMIC_ACQUIRE);
    if (owner == 0) return false;
    const struct region *region = slot->region = &hard.region[owner - 1];
    if (region->kind == REGION_LARGE) return slot_find_large(offset, chunk, region, slot);
    uint32_t in_slab = (uint32_t)offset & ((1u << region->slab_shift) - 1);
    slot->slab = (uint32_t)(offset >> 16) & ~((1u << (region->slab_shift - 16)) - 1);
    slot->index = (uint32_t)(in_slab * region->reciprocal >> 40);
    if (slot->index >= region->slots) return false;
    slot->start = slot_start(slot->slab, region, slot->index);
    slot->word = slab_words(slot->slab, region) + slot->index;
    return true;
}

size_t hard_slot_size(const struct slot *slot)
{
    if (slot->region->kind == REGION_LARGE) return large_at(slot->slab, slot->index)->size;
    return slot->region->size - hard_slack(LOAD(slot->word));
}

uintptr_t hard_slot_start(const struct slot *slot)
{
    return slot->start;
}

/* ---- fork ---------------------------------------------------------------------------------------------- */

void space_fork_prepare(void)
{
    lock_take(&space.lock);
}

void space_fork_parent(void)
{
    lock_give(&space.lock);
}

void space_fork_child(void)
{
    atomic_fetch_add(&random_epoch, 1);
    space.random.left = 0;
    lock_reset(&space.lock);
}
