/* See model/claim.h. The bits of 1 TiB are 8 GiB of addresses, of which few pages are ever touched. */
#include "model/claim.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"

static _Atomic uint64_t *bits;
static uintptr_t base;

void claim_init(void)
{
    /* The hardened library's blocks may be anywhere. */
    enum { ADDRESS_BITS = 47 };
    void *block = fh_malloc(1);
    bool within = (uintptr_t)block - fh_registry.base < fh_registry.limit - fh_registry.base;
    base = within ? fh_registry.base : 0;
    size_t granules = (within ? fh_registry.limit - base : (uintptr_t)1 << ADDRESS_BITS) / 16;
    fh_free(block);
    bits = mmap(NULL, granules / 8, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(bits != MAP_FAILED, "no room for the bits of %zu granules", granules);
}

/* The next word of bits at granule *at, and in *mask those of them that lie before `end`. */
static _Atomic uint64_t *next_word(size_t *at, size_t end, uint64_t *mask)
{
    size_t from = *at % 64, count = 64 - from < end - *at ? 64 - from : end - *at;
    _Atomic uint64_t *word = &bits[*at / 64];
    *mask = count == 64 ? ~0ull : ((1ull << count) - 1) << from;
    *at += count;
    return word;
}

/* Relaxed suffices: the allocator must order one holder's last access before the next one's first. */
void claim_take(const void *p, size_t size)
{
    size_t at = ((uintptr_t)p - base) / 16, end = at + (size + 15) / 16;
    while (at < end) {
        uint64_t mask;
        _Atomic uint64_t *word = next_word(&at, end, &mask);
        uint64_t before = atomic_fetch_or_explicit(word, mask, memory_order_relaxed);
        EXPECT((before & mask) == 0, "%p of %zu bytes overlaps a live block before %p", p, size,
               (void *)(base + at * 16));
    }
}

void claim_give(const void *p, size_t size)
{
    size_t at = ((uintptr_t)p - base) / 16, end = at + (size + 15) / 16;
    while (at < end) {
        uint64_t mask;
        _Atomic uint64_t *word = next_word(&at, end, &mask);
        uint64_t before = atomic_fetch_and_explicit(word, ~mask, memory_order_relaxed);
        EXPECT((before & mask) == mask, "%p of %zu bytes was not claimed before %p", p, size,
               (void *)(base + at * 16));
    }
}
