// 120 MB of blocks of 16 to 512 bytes; nine in ten are freed at random, then the program sleeps.
//
// Stresses: giving memory back. The survivors are strewn over every page, so that hardly a large
// run is free, and nothing calls malloc any more. What counts is end_rss_kib, three seconds later.
// Who has it: a server after its daily peak, a cache after a purge, an editor after a big file is
// closed.
#include "../kit/kit.h"

enum { LIVE_BYTES = 120000000, BLOCKS = LIVE_BYTES / 264, KEEP_ONE_OF = 10, IDLE_S = 3 };

// 16 to 512 bytes, 264 in the mean. Derived from the index, so that the table holds pointers only
// and little besides the blocks is resident.
static size_t idle90_size(size_t i)
{
    return 16 + (i * 2654435761u >> 7) % 497;
}

static size_t idle90_build(unsigned char **blocks)
{
    size_t bytes = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = block_new(idle90_size(i));
        memset(blocks[i], 0x5A, idle90_size(i));
        block_stamp(blocks[i], idle90_size(i), (uint32_t)i);
        bytes += idle90_size(i);
    }
    return bytes;
}

static void idle90_drop(unsigned char **blocks, size_t i)
{
    block_check(blocks[i], idle90_size(i), (uint32_t)i);
    free(blocks[i]);
    blocks[i] = NULL;
}

// Frees all but one in ten, in random order; returns how many bytes of blocks that was.
static size_t idle90_thin(unsigned char **blocks)
{
    struct random random = random_seeded(90);
    uint32_t *order = random_order(&random, BLOCKS);
    size_t freed = 0;
    for (size_t i = BLOCKS / KEEP_ONE_OF; i < BLOCKS; i++) {
        idle90_drop(blocks, order[i]);
        freed += idle90_size(order[i]);
    }
    free(order);
    return freed;
}

void idle90_run(struct job *job)
{
    unsigned char **blocks = block_new(BLOCKS * sizeof *blocks);
    size_t live = idle90_build(blocks);
    live -= idle90_thin(blocks);
    job_settle(job, IDLE_S, live + BLOCKS * sizeof *blocks);
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i]) idle90_drop(blocks, i);
    free(blocks);
}
