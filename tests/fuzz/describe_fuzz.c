/*
 * fh_describe with random words, near blocks that come and go: a byte says which block is changed or
 * asked about, eight more are the word. The answer must contain the word, and its text must end.
 */
#include <stdint.h>
#include <string.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"

enum { SLOTS = 32 };

static void *slot[SLOTS];

static void ask(uint64_t word)
{
    struct fh_description d;
    char text[200];
    const void *p = (const void *)(uintptr_t)word;
    enum fh_kind kind = fh_describe(p, &d);
    EXPECT(kind <= FH_SPAN, "kind %d of %p", kind, p);
    if (kind != FH_FOREIGN) {
        uint64_t start = (uintptr_t)d.start;
        EXPECT(word >= start && word - start < d.size && d.offset == word - start,
               "%p is said to be in %zu bytes at %p", p, d.size, d.start);
    }
    size_t capacity = 1 + word % sizeof text;
    size_t length = fh_describe_text(p, text, capacity);
    EXPECT(length < capacity && strlen(text) == length, "text of %zu in %zu", length, capacity);
}

static void step(uint8_t what, uint64_t word)
{
    void **s = &slot[what % SLOTS];
    uint64_t length = fh_registry.limit - fh_registry.base;
    switch (what / SLOTS) {
    case 0:
        fh_free(*s);
        *s = fh_malloc(word % 9000);
        break;
    case 1:
        fh_free(*s);
        *s = fh_malloc(word % 1000000);
        break;
    case 2:
        fh_free(*s);
        *s = NULL;
        break;
    case 3: ask(word); break;
    case 4: ask(fh_registry.base + word % length); break;
    case 5: ask((uintptr_t)*s + word % 70000); break;
    case 6: ask((uintptr_t)*s - word % 70000); break;
    default: ask(fh_registry.base + word % (length / 1024));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_free(fh_malloc(1));
    for (size_t i = 0; i + 9 <= size; i += 9) {
        uint64_t word;
        memcpy(&word, data + i + 1, sizeof word);
        step(data[i], word);
    }
    for (int i = 0; i < SLOTS; i++) {
        fh_free(slot[i]);
        slot[i] = NULL;
    }
    return 0;
}
