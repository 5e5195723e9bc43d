// Hash tables from string to string: lengths as in text and identifiers (mostly 4 to 20 characters,
// some long), inserted, looked up, replaced and removed; the table doubles when it is full.
//
// Stresses: very small blocks of odd sizes in great number (rounding and headers show as memory),
// calloc of growing tables, cache misses on every lookup. Who has it: symbol tables, word counts,
// JSON objects, configuration, header maps of web servers.
#include "../kit/kit.h"

#include <stdio.h>

enum { KEYS = 250000, FULL = 2600000 };

struct pair {
    struct pair *next;
    char *key, *value;
    uint64_t hash;
};

struct table {
    struct pair **buckets;
    size_t size, count;
};

static uint64_t string_hash(const char *text)
{
    uint64_t hash = 1469598103934665603u;
    while (*text) hash = (hash ^ (unsigned char)*text++) * 1099511628211u;
    return hash ^ hash >> 29;
}

// The same number gives the same text: 4-20 characters mostly, one in 16 up to 200.
static size_t string_make(char *text, uint64_t number)
{
    struct random random = random_seeded(number);
    size_t length = random_between(&random, 4, 20);
    if (number % 16 == 0) length = random_between(&random, 21, 200);
    uint64_t bits = random_next(&random);
    for (size_t i = 0; i < length; i++) text[i] = (char)('a' + (bits >> i % 48) % 26);
    return length + (size_t)sprintf(text + length, "%u", (unsigned)number);
}

static char *string_new(const char *text, size_t length)
{
    char *string = block_new(length + 1);
    memcpy(string, text, length + 1);
    return string;
}

static struct pair **table_find(struct table *table, const char *key, uint64_t hash)
{
    struct pair **link = &table->buckets[hash % table->size];
    while (*link && ((*link)->hash != hash || strcmp((*link)->key, key) != 0))
        link = &(*link)->next;
    return link;
}

static void table_grow(struct table *table, size_t size)
{
    struct table grown = {calloc(size, sizeof *grown.buckets), size, table->count};
    if (!grown.buckets) fail("calloc of %zu buckets returned NULL", size);
    for (size_t i = 0; i < table->size; i++)
        for (struct pair *pair = table->buckets[i], *next; pair; pair = next) {
            next = pair->next;
            pair->next = grown.buckets[pair->hash % size];
            grown.buckets[pair->hash % size] = pair;
        }
    free(table->buckets);
    *table = grown;
}

static void pair_free(struct pair *pair)
{
    free(pair->key);
    free(pair->value);
    free(pair);
}

static void table_set(struct table *table, const char *key, size_t length, const char *value,
                      size_t value_length)
{
    uint64_t hash = string_hash(key);
    struct pair **link = table_find(table, key, hash);
    if (*link) {
        free((*link)->value);
        (*link)->value = string_new(value, value_length);
        return;
    }
    struct pair *pair = block_new(sizeof *pair);
    *pair = (struct pair){NULL, string_new(key, length), string_new(value, value_length), hash};
    *link = pair;
    if (++table->count > table->size) table_grow(table, table->size * 2);
}

static void table_remove(struct table *table, const char *key)
{
    struct pair **link = table_find(table, key, string_hash(key));
    struct pair *pair = *link;
    if (!pair) return;
    *link = pair->next;
    pair_free(pair);
    table->count--;
}

// The text of a value begins with its key's own: a lookup that finds another's value fails the run.
static void table_verify(struct table *table, const char *key, size_t length)
{
    const struct pair *pair = *table_find(table, key, string_hash(key));
    if (pair && strncmp(pair->value, key, length) != 0)
        fail("the value of %s reads %s", key, pair->value);
}

static void strings_step(struct table *table, struct random *random, size_t keys)
{
    char key[256], value[512];
    size_t length = string_make(key, random_below(random, keys));
    size_t action = random_below(random, 10);
    if (action < 5) {
        memcpy(value, key, length);
        size_t more = string_make(value + length, random_below(random, keys));
        table_set(table, key, length, value, length + more);
    } else if (action < 7) {
        table_remove(table, key);
    } else {
        table_verify(table, key, length);
    }
}

static void table_drop(struct table *table)
{
    for (size_t i = 0; i < table->size; i++)
        for (struct pair *pair = table->buckets[i], *next; pair; pair = next) {
            next = pair->next;
            pair_free(pair);
        }
    free(table->buckets);
}

static void strings_work(void *shared, unsigned index)
{
    const struct job *job = shared;
    struct random random = random_seeded(index);
    struct table table = {0};
    table_grow(&table, 16);
    for (size_t i = job_share(job, FULL); i; i--)
        strings_step(&table, &random, KEYS / job->threads);
    table_drop(&table);
}

void strings_run(struct job *job)
{
    crew_run(job->threads, strings_work, job);
}
