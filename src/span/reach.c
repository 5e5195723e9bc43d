/* The table of blocks: regions, their bits, and from any word to the block that it points into. */
#include "span/reach.h"

/* Addresses of programs have 48 bits on every machine that we know, unless a program asks for more. */
enum { DIRECTORY_BITS = 16, LEAF_BITS = 16, PAGE_GRANULES = 256 };
#define DIRECTORY_BYTES (sizeof(uint32_t *) << DIRECTORY_BITS)
#define LEAF_BYTES (sizeof(uint32_t) << LEAF_BITS)

static uint64_t bitmap_bytes(const struct reach *r)
{
    return (r->granules / 64 + 1) * sizeof(uint64_t);
}

static uint64_t page_bytes(const struct reach *r)
{
    return (r->granules / PAGE_GRANULES + 1) * sizeof(uint32_t);
}

static uint64_t region_granules(const struct reach_region *region)
{
    uint64_t granules = region->single ? 1 : (region->end - region->start) / REACH_GRANULE;
    return (granules + PAGE_GRANULES - 1) / PAGE_GRANULES * PAGE_GRANULES;
}

static bool directory_add(struct reach *r, size_t index)
{
    const struct reach_region *region = &r->regions[index];
    for (uint64_t unit = region->start >> LEAF_BITS; unit <= (region->end - 1) >> LEAF_BITS;
         unit++) {
        uint64_t top = unit >> LEAF_BITS;
        if (top >> DIRECTORY_BITS) return true; /* beyond 48 bits: never found, and so never lost */
        if (!r->directory[top]) r->directory[top] = r->reserve(LEAF_BYTES);
        if (!r->directory[top]) return false;
        uint32_t *entry = &r->directory[top][unit & ((1u << LEAF_BITS) - 1)];
        if (*entry == 0) *entry = (uint32_t)index + 1;
    }
    return true;
}

static bool bitmaps_reserve(struct reach *r)
{
    uint64_t **bitmaps[] = {&r->boundary, &r->live, &r->marked, &r->possible, &r->indirect};
    for (size_t i = 0; i < sizeof bitmaps / sizeof *bitmaps; i++) {
        if (!(*bitmaps[i] = r->reserve(bitmap_bytes(r)))) return false;
    }
    return (r->page = r->reserve(page_bytes(r))) != NULL;
}

uint64_t *reach_bits(const struct reach *r)
{
    return r->reserve(bitmap_bytes(r));
}

void reach_bits_release(const struct reach *r, uint64_t *bits)
{
    if (bits) r->release(bits, bitmap_bytes(r));
}

bool reach_init(struct reach *r, struct reach_region *regions, size_t count,
                void *(*reserve)(size_t), void (*release)(void *, size_t))
{
    *r = (struct reach){.regions = regions,
                        .region_count = count,
                        .low = UINT64_MAX,
                        .reserve = reserve,
                        .release = release,
                        .workers = 0};
    if (count >= UINT32_MAX || !(r->directory = reserve(DIRECTORY_BYTES))) return false;
    for (size_t i = 0; i < count; i++) {
        regions[i].granule = r->granules;
        r->granules += region_granules(&regions[i]);
        if (!directory_add(r, i)) return false;
        if (regions[i].start < r->low) r->low = regions[i].start;
        if (regions[i].end > r->high) r->high = regions[i].end;
    }
    return bitmaps_reserve(r);
}

void reach_finish(struct reach *r)
{
    uint64_t *bitmaps[] = {r->boundary, r->live, r->marked, r->possible, r->indirect, r->told};
    for (size_t i = 0; i < sizeof bitmaps / sizeof *bitmaps; i++) {
        if (bitmaps[i]) r->release(bitmaps[i], bitmap_bytes(r));
    }
    if (r->page) r->release(r->page, page_bytes(r));
    for (size_t i = 0; r->directory && i < 1u << DIRECTORY_BITS; i++) {
        if (r->directory[i]) r->release(r->directory[i], LEAF_BYTES);
    }
    if (r->directory) r->release(r->directory, DIRECTORY_BYTES);
    if (r->keepers) r->release(r->keepers, (r->live_count + 1) * sizeof *r->keepers);
    if (r->pool) r->release(r->pool, (r->live_count + 1) * sizeof *r->pool);
    *r = (struct reach){0};
}

const struct reach_region *reach_region_of(const struct reach *r, uint64_t address)
{
    if (address < r->low || address >= r->high || address >> (2 * LEAF_BITS + DIRECTORY_BITS))
        return NULL;
    const uint32_t *leaf = r->directory[address >> (2 * LEAF_BITS)];
    uint32_t index = leaf ? leaf[address >> LEAF_BITS & ((1u << LEAF_BITS) - 1)] : 0;
    if (index == 0) return NULL;
    const struct reach_region *region = &r->regions[index - 1], *end = r->regions + r->region_count;
    while (region < end && region->end <= address) region++;
    return region < end && region->start <= address ? region : NULL;
}

static uint64_t address_of(const struct reach_region *region, uint64_t granule)
{
    return region->start + (granule - region->granule) * REACH_GRANULE;
}

void reach_add(struct reach *r, uint64_t address, bool live)
{
    const struct reach_region *region = reach_region_of(r, address);
    if (!region) return;
    uint64_t granule = reach_granule(region, address);
    reach_bit_set(r->boundary, granule);
    if (live && reach_bit_set(r->live, granule)) r->live_count++;
}

bool reach_remove(struct reach *r, uint64_t address)
{
    const struct reach_region *region = reach_region_of(r, address);
    if (!region || address % REACH_GRANULE != 0) return false;
    uint64_t granule = reach_granule(region, address);
    if (!reach_bit(r->live, granule)) return false;
    r->live[granule >> 6] &= ~(1ull << (granule & 63));
    r->live_count--;
    return true;
}

/* So that a search back from any word ends within its page. */
static void seal_region(struct reach *r, const struct reach_region *region)
{
    uint64_t end = region->granule + region_granules(region);
    uint32_t last = 0;
    for (uint64_t granule = region->granule; granule < end; granule += 64) {
        if (granule % PAGE_GRANULES == 0) r->page[granule / PAGE_GRANULES] = last;
        uint64_t word = r->boundary[granule >> 6];
        if (word)
            last = (uint32_t)(granule - region->granule) + 64 - (uint32_t)__builtin_clzll(word);
    }
}

bool reach_seal(struct reach *r)
{
    for (size_t i = 0; i < r->region_count; i++) seal_region(r, &r->regions[i]);
    r->pool = r->reserve((r->live_count + 1) * sizeof *r->pool);
    return r->pool != NULL;
}

/* 1 + the last boundary at or before a granule, counted from the region; 0: none. */
static uint64_t boundary_before(const struct reach *r, const struct reach_region *region,
                                uint64_t granule)
{
    uint64_t page = granule / PAGE_GRANULES, index = granule >> 6;
    uint64_t word = r->boundary[index] & (~0ull >> (63 - (granule & 63)));
    while (word == 0) {
        if (index == page * PAGE_GRANULES / 64) return r->page[page];
        word = r->boundary[--index];
    }
    return index * 64 + 64 - (uint64_t)__builtin_clzll(word) - region->granule;
}

bool reach_block_in(const struct reach *r, const struct reach_region *region, uint64_t address,
                    struct reach_block *block)
{
    uint64_t granule = reach_granule(region, address);
    *block = (struct reach_block){region, region->start, granule};
    if (region->single) return reach_bit(r->live, granule);
    block->start = address;
    if (address % REACH_GRANULE == 0 && reach_bit(r->live, granule)) return true;
    uint64_t before = boundary_before(r, region, granule);
    if (before == 0) return false;
    block->granule = region->granule + before - 1;
    block->start = address_of(region, block->granule);
    if (!reach_bit(r->live, block->granule)) return false;
    /* The last bytes before the next boundary may belong to that. */
    uint64_t last = (address + region->slack - region->start) / REACH_GRANULE + region->granule;
    if (last == granule) return true;
    return address + region->slack < region->end && !reach_bit(r->boundary, last);
}

bool reach_block_of(const struct reach *r, uint64_t address, struct reach_block *block)
{
    const struct reach_region *region = reach_region_of(r, address);
    return region && reach_block_in(r, region, address, block);
}

uint64_t reach_block_end(const struct reach *r, const struct reach_block *block)
{
    const struct reach_region *region = block->region;
    if (region->single) return region->end;
    uint64_t limit = region->granule + (region->end - region->start) / REACH_GRANULE;
    uint64_t granule = block->granule + 1;
    while (granule < limit) {
        uint64_t word = r->boundary[granule >> 6] >> (granule & 63);
        if (word) {
            granule += (uint64_t)__builtin_ctzll(word);
            break;
        }
        granule = (granule | 63) + 1;
    }
    return (granule < limit ? address_of(region, granule) : region->end) - region->slack;
}

bool reach_find(const struct reach *r, uint64_t address, uint64_t *start, uint64_t *size)
{
    struct reach_block block;
    if (!reach_block_of(r, address, &block)) return false;
    *start = block.start;
    *size = reach_block_end(r, &block) - block.start;
    return true;
}

void reach_walk(const struct reach *r, const uint64_t *all, const uint64_t *const none[3],
                void (*each)(void *context, const struct reach_block *block), void *context)
{
    for (size_t i = 0; i < r->region_count; i++) {
        const struct reach_region *region = &r->regions[i];
        uint64_t first = region->granule >> 6, end = first + region_granules(region) / 64;
        for (uint64_t index = first; index < end; index++) {
            uint64_t word = all[index] & r->live[index];
            for (int j = 0; j < 3 && none[j]; j++) word &= ~none[j][index];
            for (; word; word &= word - 1) {
                uint64_t granule = index * 64 + (uint64_t)__builtin_ctzll(word);
                struct reach_block block = {region, address_of(region, granule), granule};
                each(context, &block);
            }
        }
    }
}
