/*
 * chunks SEED FREED THREADS ENDED: heaps of glibc whose state is known. Each of THREADS threads and the main
 * one makes blocks of 20 bytes to 70 KB, frees FREED of 1000 of them in any order, and at last some that its
 * cache and the fast bins keep. Then ENDED of the threads end, and the others stand. It says
 *
 *     ready LIVE FREE FAST CACHED
 *
 * in bytes of chunks: of blocks that it holds, and as mallinfo2 has it, free in bins and tops, and in fast
 * bins; and at least in caches. At each line of its stdin it calls malloc_trim(0) and says "trimmed".
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 6000, THREADS_MAX = 16, CACHED = 7, FAST = 40, FAST_SIZE = 72 };

struct holder {
    uint64_t random;
    int ends;
    char *block[BLOCKS];
};

static struct holder holders[THREADS_MAX + 1];
static unsigned freed_permille;
static atomic_size_t live, cached;
static pthread_barrier_t made, told;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t chunk_of(void *block)
{
    return malloc_usable_size(block) + sizeof(size_t);
}

static size_t any_size(uint64_t *random)
{
    uint64_t kind = next_random(random) % 100;
    size_t most = kind < 80 ? 2000 : kind < 98 ? 20000 : 70000;
    return 20 + next_random(random) % most;
}

/* The cache keeps seven of a size, and what is freed beyond goes to the fast bins if it is small. */
static void fill_cache(void)
{
    char *block[CACHED + FAST];
    for (int i = 0; i < CACHED + FAST; i++) block[i] = memset(malloc(FAST_SIZE), 1, FAST_SIZE);
    for (int i = 0; i < CACHED; i++) cached += chunk_of(block[i]);
    for (int i = 0; i < CACHED + FAST; i++) free(block[i]);
}

static void make(struct holder *h)
{
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = any_size(&h->random);
        h->block[i] = memset(malloc(size), 1, size);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (next_random(&h->random) % 1000 >= freed_permille) continue;
        free(h->block[i]);
        h->block[i] = NULL;
    }
    fill_cache();
    for (int i = 0; i < BLOCKS; i++) live += h->block[i] ? chunk_of(h->block[i]) : 0;
}

static void *hold(void *argument)
{
    struct holder *h = argument;
    make(h);
    pthread_barrier_wait(&made);
    if (!h->ends) pthread_barrier_wait(&told);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS_MAX];
    if (argc != 5) return 2;
    freed_permille = (unsigned)atoi(argv[2]);
    int threads = atoi(argv[3]), ended = atoi(argv[4]);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    pthread_barrier_init(&made, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&told, NULL, (unsigned)(threads - ended) + 1);
    for (int i = 0; i <= threads; i++)
        holders[i] = (struct holder){.random = (uint64_t)atoi(argv[1]) * 977 + 88172645463325252u +
                                               (uint64_t)i,
                                     .ends = i < ended};
    for (int i = 0; i < threads; i++) pthread_create(&thread[i], NULL, hold, &holders[i]);
    make(&holders[threads]);
    pthread_barrier_wait(&made);
    for (int i = 0; i < ended; i++) pthread_join(thread[i], NULL);
    struct mallinfo2 info = mallinfo2();
    size_t in_ended = (size_t)ended * CACHED * ((FAST_SIZE + 8 + 15) / 16 * 16);
    char text[128];
    int size = snprintf(text, sizeof text, "ready %zu %zu %zu %zu\n", (size_t)live,
                        info.fordblks - info.fsmblks, info.fsmblks, (size_t)cached - in_ended);
    if (write(1, text, (size_t)size) != size) return 3; /* and not dprintf, which allocates */
    for (char c; read(0, &c, 1) > 0;) {
        if (c != '\n') continue;
        malloc_trim(0);
        dprintf(1, "trimmed\n");
    }
    _exit(0);
}
