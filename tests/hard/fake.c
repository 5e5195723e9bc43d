/* See fake.h. */
#include "fake.h"

#include <string.h>
#include <sys/mman.h>

#include "hard/registry.h"
#include "hard/canary.h"
#include "kit/expect.h"

struct hard_space hard;
uint64_t fake_live_bytes;

static slot_word words[FAKE_SLOTS];
static struct large large;
static uint16_t owner[2];
static char *data;

uint64_t hard_live_bytes(void)
{
    return fake_live_bytes;
}

void fake_start(uint32_t sample, uint32_t sample_slots)
{
    data = mmap(NULL, 2 * FAKE_CHUNK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(data != MAP_FAILED, "mmap");
    EXPECT(mprotect(data, 4 * 4096, PROT_READ | PROT_WRITE) == 0, "mprotect");
    memset(words, 0, sizeof words);
    hard.base = (uintptr_t)data;
    hard.size = 2 * FAKE_CHUNK;
    hard.chunk_shift = 20;
    hard.owner = owner;
    hard.secret = 0x1234567890abcdf1;
    hard.site_secret = 0xfeed;
    hard.region[0] = (struct region){.size = FAKE_SLOT, .slots = FAKE_SLOTS, .kind = REGION_SMALL};
    hard.region[1] = (struct region){.kind = REGION_LARGE, .slab_shift = 20};
    hard.measures = (struct measures){
        .level = 1, .canary = true, .kinds = true, .sample = sample, .sample_slots = sample_slots};
}

bool hard_slot_find(const void *p, struct slot *slot)
{
    size_t offset = (uintptr_t)p - hard.base;
    if (offset >= hard.size) return false;
    if (offset >= FAKE_CHUNK) {
        *slot = (struct slot){
            .start = large.start, .word = &large.word, .region = &hard.region[1], .slab = 1};
        return true;
    }
    unsigned i = (unsigned)(offset / FAKE_SLOT);
    if (i >= FAKE_SLOTS) return false;
    *slot = (struct slot){.start = hard.base + i * FAKE_SLOT,
                          .word = &words[i],
                          .region = &hard.region[0],
                          .index = i};
    return true;
}

size_t hard_slot_size(const struct slot *slot)
{
    return slot->slab ? large.size : FAKE_SLOT - hard_slack(LOAD(slot->word));
}

uintptr_t hard_slot_start(const struct slot *slot)
{
    return slot->start;
}

char *fake_live(unsigned i, size_t size, unsigned kind)
{
    char *start = data + (size_t)i * FAKE_SLOT;
    memset(start, 0, FAKE_SLOT);
    canary_write((uintptr_t)start + FAKE_SLOT);
    STORE(&words[i], SLOT_LIVE | kind << WORD_KIND_SHIFT | 7u << WORD_THREAD_SHIFT |
                         (uint32_t)(FAKE_SLOT - size) << WORD_SLACK_SHIFT);
    return start;
}

void fake_state(unsigned i, unsigned state)
{
    STORE(&words[i], (LOAD(&words[i]) & ~WORD_STATE) | state);
}

char *fake_large(size_t size)
{
    char *end = data + 2 * FAKE_CHUNK - 2 * 4096;
    char *start = end - (size + 15) / 16 * 16;
    char *page = (char *)((uintptr_t)start & ~(uintptr_t)4095);
    EXPECT(mprotect(page, (size_t)(end - page), PROT_READ | PROT_WRITE) == 0, "mprotect");
    large = (struct large){.start = (uintptr_t)start, .size = size, .pages = (uintptr_t)end};
    STORE(&large.word, SLOT_LIVE);
    return start;
}

void fake_large_state(unsigned state)
{
    STORE(&large.word, (LOAD(&large.word) & ~WORD_STATE) | state);
    uintptr_t page = large.start & ~(uintptr_t)4095;
    EXPECT(mprotect((void *)page, large.pages - page, PROT_NONE) == 0, "mprotect");
}

/* ---- what tools are told ------------------------------------------------------------------------ */

void hard_registry_samples(const struct sample_block *blocks, uint32_t count)
{
    (void)blocks, (void)count;
}
