// Blocks aligned to 16 bytes up to 4 KiB, by aligned_alloc and posix_memalign in turn.
//
// Stresses: the aligned entry points, which many allocators serve by asking for more and wasting
// it. Who has it: SIMD and matrix code, direct input and output, C++ types with alignas, cache-line
// padded structures of concurrent code.
#include "../kit/kit.h"

enum { TABLE = 2000, FULL = 9000000 };

static unsigned char *aligned_block(size_t alignment, size_t size, bool posix)
{
    void *block = NULL;
    if (posix && posix_memalign(&block, alignment, size)) block = NULL;
    if (!posix) block = aligned_alloc(alignment, size);
    if (!block || (uintptr_t)block % alignment)
        fail("alignment %zu, size %zu: got %p", alignment, size, block);
    return block;
}

// Mostly 16 to 64, one in a hundred a whole page; the size is a multiple of it, as C11 asked.
static void aligned_fill(struct slot *slot, struct random *random, uint32_t tag)
{
    size_t alignment = (size_t)16 << random_below(random, 3);
    if (random_below(random, 8) == 0) alignment = (size_t)128 << random_below(random, 4);
    if (random_below(random, 100) == 0) alignment = 4096;
    size_t size = (random_between(random, 16, 1024) + alignment - 1) & ~(alignment - 1);
    *slot = (struct slot){aligned_block(alignment, size, tag & 1), (uint32_t)size, tag};
    block_stamp(slot->block, size, tag);
}

static void aligned_work(void *shared, unsigned index)
{
    struct random random = random_seeded(index);
    struct slot *table = slots_new(TABLE);
    for (size_t i = job_share(shared, FULL); i; i--) {
        struct slot *slot = &table[random_below(&random, TABLE)];
        slot_drop(slot);
        aligned_fill(slot, &random, (uint32_t)i);
    }
    slots_drop(table, TABLE);
}

void aligned_run(struct job *job)
{
    crew_run(job->threads, aligned_work, job);
}
