// Strings: a hash table of up to 786,000 words of 6 to 30 bytes in chains of three, and 64 texts. An
// iteration makes a word, looks it up, and puts it in if it is new, in place of the oldest in its chain;
// every fourth word is appended to a text, which makes a new string of the old one and the word, up to
// 2 KB. Interpreters, symbol tables, template engines.
#include "kit/job.h"

#include <string.h>

enum {
    CHAINS = 1 << 18,
    CHAIN_WORDS = 3,
    TEXTS = 64,
    TEXT_MOST = 2048,
    WORDS = 400000,
    ITERATIONS = 4000000,
    WORD_MOST = 32,
};

static uint32_t text_sizes[TEXTS];

// A word's number decides its letters and its length.
static size_t word_spell(char *word, uint64_t number)
{
    struct random random = random_seeded(number);
    size_t length = random_between(&random, 6, WORD_MOST - 2);
    for (size_t i = 0; i < length; i++) word[i] = (char)('a' + random_below(&random, 26));
    word[length] = '\0';
    return length;
}

static size_t word_chain(const char *word)
{
    uint64_t hash = 14695981039346656037u;
    for (; *word; word++) hash = (hash ^ (unsigned char)*word) * 1099511628211u;
    return (hash >> 20) % CHAINS;
}

static struct bytes *string_new(const char *text, size_t length)
{
    struct bytes *string = bytes_new(length + 1);
    memcpy(string->data, text, length + 1);
    return string;
}

// An entry is a tree: left the next one, blob the word.
static struct tree *entry_find(struct tree *entry, const char *word)
{
    while (entry && strcmp((const char *)entry->blob->data, word) != 0) entry = entry->left;
    return entry;
}

// At most CHAIN_WORDS words in a chain: the oldest goes.
static void chain_cut(struct tree *entry)
{
    for (unsigned i = 1; entry && i < CHAIN_WORDS; i++) entry = entry->left;
    if (!entry || !entry->left) return;
    struct tree *last = entry->left;
    STORE(entry, &entry->left, NULL);
    object_free(last->blob);
    object_free(last);
}

static bool word_enter(const char *word, size_t length)
{
    struct array *table = roots[0];
    size_t chain = word_chain(word);
    struct bytes *string = string_new(word, length);
    if (entry_find(table->slots[chain], word)) {
        object_free(string);
        return false;
    }
    struct tree *entry = tree_new();
    INIT(entry, &entry->left, (struct tree *)table->slots[chain]);
    INIT(entry, &entry->blob, string);
    STORE(table, &table->slots[chain], entry);
    chain_cut(entry);
    return true;
}

static void text_append(unsigned at, const char *word, size_t length)
{
    struct array *texts = roots[1];
    struct bytes *old = texts->slots[at];
    size_t size = text_sizes[at] + length < TEXT_MOST ? text_sizes[at] : 0;
    struct bytes *text = bytes_new(size + length + 1);
    if (size) memcpy(text->data, old->data, size);
    memcpy(text->data + size, word, length + 1);
    text_sizes[at] = (uint32_t)(size + length);
    STORE(texts, &texts->slots[at], text);
    object_free(old);
}

void strings_run(struct job *job)
{
    struct random random = random_seeded(11);
    char word[WORD_MOST];
    ROOT_STORE(0, array_new(CHAINS));
    ROOT_STORE(1, array_new(TEXTS));
    size_t count = job_total(job, ITERATIONS);
    for (size_t i = 0; i < count; i++) {
        // New words come slowly: the window of words in use moves on.
        uint64_t number = i / 4 + random_below(&random, WORDS);
        size_t length = word_spell(word, number);
        job->product += word_enter(word, length);
        if (i % 4 == 0) text_append((unsigned)(i / 4 % TEXTS), word, length);
        if (i % 8 == 0) meter_tick();
    }
}
