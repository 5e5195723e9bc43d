/*
 * plant LIVE LOST THREADS [large]: a program that has lost LOST blocks of 64 bytes and more among LIVE
 * ones, made in THREADS threads, before anybody looks.
 *
 * It says "LOST BLOCKS BYTES" when it is ready, and ends when its input ends. The lost ones lie between
 * live ones and freed ones, a tenth of them in lists, whose first block alone is lost directly. Who loses
 * a pointer also wipes the dead part of its stack, which a compiler owes nobody.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHAIN = 10 };

struct node {
    struct node *next;
    char text[56];
};

static size_t live, lost;
static int threads;
static bool with_large;
static pthread_barrier_t ready, end;
static size_t lost_bytes;

static __attribute__((noinline)) void wipe_stack(void)
{
    char dead[16 << 10];
    memset(dead, 0, sizeof dead);
    __asm__ volatile("" : : "r"(dead) : "memory"); /* or it would be left out */
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static __attribute__((noinline)) void lose_one(uint64_t *random, size_t index)
{
    size_t size = with_large && index % 1000 == 0 ? 300 << 10 : 64 + next_random(random) % 192;
    char *block = malloc(size);
    memset(block, 'x', size);
    snprintf(block, 64, "planted %zu", index);
    __atomic_fetch_add(&lost_bytes, size, __ATOMIC_RELAXED);
}

/* A list of CHAIN blocks: the first is lost, the rest only it points to. */
static __attribute__((noinline)) void lose_chain(void)
{
    struct node *first = NULL;
    for (int i = 0; i < CHAIN; i++) {
        struct node *node = malloc(sizeof *node);
        memset(node, 0, sizeof *node);
        strcpy(node->text, "chain");
        node->next = first;
        first = node;
    }
    __atomic_fetch_add(&lost_bytes, CHAIN * sizeof *first, __ATOMIC_RELAXED);
}

/* The live ones: a table, and lists that hang on it. */
static void *keep(uint64_t *random, size_t count, size_t losses)
{
    size_t slots = count / 4 + 1, made = 0, lost_here = 0;
    struct node **table = calloc(slots, sizeof *table);
    while (made < count || lost_here < losses) {
        if (made < count) {
            size_t size = sizeof(struct node) + next_random(random) % 192;
            struct node *node = calloc(1, size);
            struct node **slot = &table[next_random(random) % slots];
            node->next = *slot;
            *slot = node;
            made++;
        }
        free(malloc(64 + next_random(random) % 1000));
        if (lost_here < losses && (made >= count || made % (count / losses + 1) == 0)) {
            if (losses - lost_here >= CHAIN && lost_here % 100 == 0) {
                lose_chain();
                lost_here += CHAIN;
            } else {
                lose_one(random, lost_here++);
            }
        }
    }
    return table;
}

static void *worker(void *argument)
{
    uint64_t random = 88172645463325252u + (uintptr_t)argument;
    size_t index = (uintptr_t)argument, share = lost / (size_t)threads;
    if (index == 0) share += lost % (size_t)threads;
    void *volatile table = keep(&random, live / (size_t)threads, share);
    wipe_stack();
    free(malloc(100)); /* and the registers */
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&end);
    return table;
}

int main(int argc, char **argv)
{
    char byte;
    if (argc < 4) return 99;
    live = strtoul(argv[1], NULL, 10);
    lost = strtoul(argv[2], NULL, 10);
    threads = atoi(argv[3]);
    with_large = argc > 4;
    pthread_barrier_init(&ready, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&end, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)(uintptr_t)i) != 0) return 98;
    }
    pthread_barrier_wait(&ready);
    printf("%zu %zu\n", lost, lost_bytes);
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    _exit(0);
}
