/* See model/claim.h. The bits of 1 TiB are 8 GiB of addresses, of which few pages are ever touched. */
#include "model/claim.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#include <freehold/registry.h>

#include "kit/expect.h"

static _Atomic uint64_t *bits;
static uintptr_t base;

void claim_init(void)
{
    size_t granules = (fh_registry.limit - fh_registry.base) / 16;
    base = fh_registry.base;
    bits = mmap(NULL, granules / 8, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(bits != MAP_FAILED, "no room for the bits of %zu granules", granules);
}

/* Calls `change` for each word of bits that the block covers, with the bits that are its own. */
static void claim_each(const void *p, size_t size, void (*change)(_Atomic uint64_t *, uint64_t))
{
    size_t at = ((uintptr_t)p - base) / 16, end = at + (size + 15) / 16;
    while (at < end) {
        size_t count = 64 - at % 64 < end - at ? 64 - at % 64 : end - at;
        uint64_t mask = count == 64 ? ~0ull : ((1ull << count) - 1) << at % 64;
        change(&bits[at / 64], mask);
        at += count;
    }
}

/* Relaxed suffices: the allocator must order one holder's last access before the next one's first. */
static void word_take(_Atomic uint64_t *word, uint64_t mask)
{
    uint64_t before = atomic_fetch_or_explicit(word, mask, memory_order_relaxed);
    EXPECT((before & mask) == 0, "two live blocks overlap near %p",
           (void *)(base + (uintptr_t)(word - bits) * 64 * 16));
}

static void word_give(_Atomic uint64_t *word, uint64_t mask)
{
    uint64_t before = atomic_fetch_and_explicit(word, ~mask, memory_order_relaxed);
    EXPECT((before & mask) == mask, "a freed block was not claimed near %p",
           (void *)(base + (uintptr_t)(word - bits) * 64 * 16));
}

void claim_take(const void *p, size_t size)
{
    claim_each(p, size, word_take);
}

void claim_give(const void *p, size_t size)
{
    claim_each(p, size, word_give);
}
