// A cache of 200 MB: values of 64 bytes to 4 KiB under random keys, least recently used out first.
// The typical size drifts during the run, and one key in fifty is never asked for again but stays
// pinned.
//
// Stresses: a long-lived heap whose holes stop fitting as sizes change; peak memory over 200 MB is
// fragmentation. Who has it: memcached and Redis, page and object caches, DNS resolvers, browsers.
#include "../kit/kit.h"

enum {
    BUCKETS = 1 << 18,
    KEYS = 600000,
    CACHE_BYTES = 200 << 20,
    FULL = 3200000,
};

// A value with its links, one block: | header | payload ... |
struct entry {
    struct entry *hash_next;
    struct entry *newer, *older;
    uint32_t key, size;
    unsigned char payload[];
};

struct cache {
    struct entry **buckets;
    struct entry *newest, *oldest;
    size_t bytes;
    struct entry *pinned;
};

static struct entry **cache_find(struct cache *cache, uint32_t key)
{
    struct entry **link = &cache->buckets[key * 2654435761u % BUCKETS];
    while (*link && (*link)->key != key) link = &(*link)->hash_next;
    return link;
}

static void cache_unlink(struct cache *cache, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void cache_push(struct cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void entry_drop(struct entry *entry)
{
    block_check(entry->payload, entry->size, entry->key);
    free(entry);
}

static void cache_evict(struct cache *cache)
{
    struct entry *entry = cache->oldest;
    *cache_find(cache, entry->key) = entry->hash_next;
    cache_unlink(cache, entry);
    cache->bytes -= entry->size;
    if (entry->key % 50 == 0) {
        entry->hash_next = cache->pinned;
        cache->pinned = entry;
    } else {
        entry_drop(entry);
    }
}

static void cache_add(struct cache *cache, uint32_t key, size_t size)
{
    struct entry *entry = block_new(sizeof *entry + size);
    *entry = (struct entry){.key = key, .size = (uint32_t)size};
    block_stamp(entry->payload, size, key);
    struct entry **link = cache_find(cache, key);
    entry->hash_next = *link;
    *link = entry;
    cache_push(cache, entry);
    cache->bytes += size;
    while (cache->bytes > CACHE_BYTES) cache_evict(cache);
}

static void cache_get(struct cache *cache, uint32_t key, size_t size_if_missing)
{
    struct entry *entry = *cache_find(cache, key);
    if (!entry) {
        cache_add(cache, key, size_if_missing);
        return;
    }
    cache_unlink(cache, entry);
    cache_push(cache, entry);
}

// The upper end moves from 512 bytes to 4 KiB and the lower one follows.
static size_t drifting_size(struct random *random, size_t step, size_t steps)
{
    size_t high = 512 + 3584 * step / steps;
    return random_between(random, 64 + high / 16, high);
}

void lru_run(struct job *job)
{
    struct cache cache = {.buckets = calloc(BUCKETS, sizeof *cache.buckets)};
    struct random random = random_seeded(1);
    size_t steps = job_total(job, FULL);
    for (size_t i = 0; i < steps; i++) {
        uint32_t key = (uint32_t)random_below(&random, KEYS);
        cache_get(&cache, key, drifting_size(&random, i, steps));
    }
    while (cache.oldest) cache_evict(&cache);
    for (struct entry *next; cache.pinned; cache.pinned = next) {
        next = cache.pinned->hash_next;
        entry_drop(cache.pinned);
    }
    free(cache.buckets);
}
