// A hash table with weak keys: 200,000 keys are alive, in a ring; an iteration makes a new key in place
// of the oldest, enters it with a value, looks up four live keys, and cleans one chain of entries whose
// keys have died. With parameter 1 a value refers to its key, as values often do: only a true ephemeron
// lets go of such a pair, a weak key with a strong value keeps it for ever. Caches, property tables,
// symbol tables of interpreters, observers.
#include "kit/job.h"

enum { KEYS = 200000, CHAINS = 1 << 17, LOOKUPS = 4, ITERATIONS = 1000000 };

// A chain is of trees: left the next one, right the ephemeron (to a collector both are references).
static struct ephemeron *entry_ephemeron(const struct tree *entry)
{
    return (struct ephemeron *)entry->right;
}

static size_t chain_of(uint64_t serial)
{
    return serial * 0x9E3779B97F4A7C15u >> (64 - 17);
}

static void entry_add(struct job *job, uint64_t serial)
{
    struct array *table = roots[0], *ring = roots[1];
    struct node *key = node_new();
    key->value = serial;
    STORE(ring, &ring->slots[serial % KEYS], key);
    struct node *value = node_new();
    value->value = ~serial;
    if (job->parameter) INIT(value, &value->left, key);
    struct ephemeron *ephemeron = ephemeron_new(key, value);
    struct tree *entry = tree_new();
    size_t chain = chain_of(serial);
    INIT(entry, &entry->right, (struct tree *)ephemeron);
    INIT(entry, &entry->left, (struct tree *)table->slots[chain]);
    STORE(table, &table->slots[chain], entry);
}

static struct node *value_find(struct node *key)
{
    struct array *table = roots[0];
    for (struct tree *entry = table->slots[chain_of(key->value)]; entry; entry = entry->left)
        if (ephemeron_key(entry_ephemeron(entry)) == key)
            return ephemeron_value(entry_ephemeron(entry));
    return NULL;
}

// The entries of dead keys leave the chain.
static size_t chain_clean(size_t chain)
{
    struct array *table = roots[0];
    struct tree *last = NULL;
    size_t cleaned = 0;
    for (struct tree *entry = table->slots[chain]; entry; entry = entry->left) {
        if (ephemeron_key(entry_ephemeron(entry))) {
            last = entry;
            continue;
        }
        cleaned++;
        if (last)
            STORE(last, &last->left, entry->left);
        else
            STORE(table, &table->slots[chain], entry->left);
    }
    return cleaned;
}

static void iterate(struct job *job, struct random *random, uint64_t serial)
{
    struct array *ring = roots[1];
    entry_add(job, serial);
    for (unsigned i = 0; i < LOOKUPS && serial >= KEYS; i++) {
        struct node *key = ring->slots[random_below(random, KEYS)];
        struct node *value = value_find(key);
        if (!value || value->value != ~key->value) fail("a live key has lost its value");
    }
    chain_clean(serial % CHAINS);
    meter_tick();
}

void ephemerons_run(struct job *job)
{
    struct random random = random_seeded(13);
    if (BACKEND_EPHEMERONS == NO_EPHEMERONS) cannot("nothing is weak here");
    if (job->parameter && BACKEND_EPHEMERONS != TRUE_EPHEMERONS) cannot("no true ephemerons");
    ROOT_STORE(0, array_new(CHAINS));
    ROOT_STORE(1, array_new(KEYS));
    for (uint64_t serial = 0; serial < KEYS; serial++) iterate(job, &random, serial);
    job_begin(job);
    uint64_t end = KEYS + job_total(job, ITERATIONS);
    for (uint64_t serial = KEYS; serial < end; serial++) iterate(job, &random, serial);
    job_end(job);
    heap_collect();
    size_t cleaned = 0;
    for (size_t chain = 0; chain < CHAINS; chain++) cleaned += chain_clean(chain);
    // Without a collection since the last dead key there must have been some.
    if (!cleaned && !heap_collections()) fail("no entry of a dead key ever left the table");
}
