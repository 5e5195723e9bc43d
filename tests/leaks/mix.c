/*
 * mix LIVE LOST THREADS [plain]: what an allocator with caches for threads makes hard. Like plant, it says
 * "LOST BYTES" when it is ready and ends when its input ends.
 *
 * Blocks of every size from 8 bytes to 1 MiB, also aligned ones (unless "plain") and ones that realloc has moved; those
 * freed by the thread that made them, by another one, and just before anybody looks, so that they lie in
 * caches. What is freed says "freed": it must never be told as lost. A lost block says "planted".
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CACHED = 300, ALIGNED_EVERY = 16, MOVED_EVERY = 8 };

static size_t live, lost, lost_bytes;
static int threads;
static bool plain;
static pthread_barrier_t ready, end;
static void **handed[64]; /* made by a thread, freed by the next */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t size_next(uint64_t *random)
{
    uint64_t n = next_random(random);
    size_t bits = 6 + n % 5; /* 64 bytes to 2 KiB, now and then up to 1 MiB */
    if (n % 997 == 0) bits = 11 + (n >> 32) % 9;
    return (1u << bits) + (n >> 20) % (1u << bits);
}

static __attribute__((noinline)) char *make(uint64_t *random, const char *text)
{
    size_t size = size_next(random);
    uint64_t how = next_random(random);
    char *block = NULL;
    if (!plain && how % ALIGNED_EVERY == 0) {
        void *aligned;
        if (posix_memalign(&aligned, 32u << (how >> 40) % 8, size) == 0) block = aligned;
    } else if (how % MOVED_EVERY == 0) {
        block = realloc(malloc(size / 3 + 1), size);
    } else {
        block = malloc(size);
    }
    if (!block) _exit(97);
    memset(block, 0, malloc_usable_size(block)); /* what was there before may point to others */
    snprintf(block, size, "%s %zu", text, size);
    return block;
}

static __attribute__((noinline)) void lose(uint64_t *random)
{
    char *block = make(random, "planted");
    __atomic_fetch_add(&lost_bytes, strtoul(block + strlen("planted"), NULL, 10), __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void wipe_stack(void)
{
    char dead[64 << 10];
    memset(dead, 0, sizeof dead);
    __asm__ volatile("" : : "r"(dead) : "memory");
}

/* Small sizes too: their neighbours are what a wrong size class would be seen by. */
static __attribute__((noinline)) void fill_caches(uint64_t *random)
{
    void *block[CACHED];
    for (size_t i = 0; i < CACHED; i++) {
        size_t size = i % 3 ? 8 + next_random(random) % 1000 : size_next(random);
        block[i] = calloc(1, size);
        if (block[i]) snprintf(block[i], size, "freed");
    }
    for (size_t i = 0; i < CACHED; i++) free(block[i]);
    memset(block, 0, sizeof block);
    __asm__ volatile("" : : "r"(block) : "memory");
}

static void *worker(void *argument)
{
    size_t me = (uintptr_t)argument, share = lost / (size_t)threads, count = live / (size_t)threads;
    uint64_t random = 88172645463325252u + me * 7919;
    if (me == 0) share += lost % (size_t)threads;
    void **table = calloc(count + 1, sizeof *table);
    void **given = calloc(count / 8 + 1, sizeof *given);
    for (size_t i = 0; i < count; i++) table[i] = make(&random, "live");
    for (size_t i = 0; i < share; i++) {
        lose(&random);
        if (i % 4 == 0) fill_caches(&random);
    }
    for (size_t i = 0; i < count / 8; i++) given[i] = make(&random, "freed");
    handed[me] = given;
    pthread_barrier_wait(&ready);
    void **other = handed[(me + 1) % (size_t)threads];
    for (size_t i = 0; i < count / 8; i++) {
        free(other[i]);
        other[i] = NULL;
    }
    for (size_t i = 0; i < count; i += 3) { /* holes */
        free(table[i]);
        table[i] = i % 2 ? make(&random, "live") : NULL;
    }
    fill_caches(&random);
    wipe_stack();
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&end);
    handed[me] = table;
    return table;
}

int main(int argc, char **argv)
{
    char byte;
    if (argc < 4) return 99;
    live = strtoul(argv[1], NULL, 10);
    lost = strtoul(argv[2], NULL, 10);
    threads = atoi(argv[3]);
    plain = argc > 4;
    if (threads < 1 || threads > 64) return 99;
    pthread_barrier_init(&ready, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&end, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)(uintptr_t)i) != 0) return 98;
    }
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&ready);
    printf("%zu %zu\n", lost, lost_bytes);
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    _exit(0);
}
