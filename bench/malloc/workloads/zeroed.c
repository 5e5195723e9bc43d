// calloc of 16 bytes to 256 KiB; every block is checked to be zero, filled with ones, and freed.
//
// Stresses: clearing. Memory fresh from the kernel is zero already and should not be cleared again;
// memory that was used must be. Who has it: every program that prefers calloc, hash tables, image
// buffers, interpreters' frames.
#include "../kit/kit.h"

enum { TABLE = 600, FULL = 4200000 };

static size_t zeroed_size(struct random *random)
{
    size_t per_mille = random_below(random, 1000);
    if (per_mille < 900) return random_between(random, 16, 512);
    if (per_mille < 995) return random_between(random, 513, 16384);
    return random_between(random, 16385, 262144);
}

// The first, the last and one byte in each 64 must be zero: a cache line that was not cleared
// shows.
static void zeroed_check(const unsigned char *block, size_t size)
{
    unsigned char any = block[size - 1];
    for (size_t at = 0; at < size; at += 64) any |= block[at];
    if (any) fail("calloc(%zu) at %p is not zero", size, (const void *)block);
}

static unsigned char *zeroed_block(size_t size)
{
    unsigned char *block = calloc(1, size);
    if (!block) fail("calloc(%zu) returned NULL", size);
    zeroed_check(block, size);
    memset(block, 0xFF, size);
    return block;
}

static void zeroed_work(void *shared, unsigned index)
{
    struct random random = random_seeded(index);
    unsigned char *table[TABLE] = {0};
    for (size_t i = job_share(shared, FULL); i; i--) {
        unsigned char **slot = &table[random_below(&random, TABLE)];
        free(*slot);
        *slot = zeroed_block(zeroed_size(&random));
    }
    for (size_t i = 0; i < TABLE; i++) free(table[i]);
}

void zeroed_run(struct job *job)
{
    crew_run(job->threads, zeroed_work, job);
}
