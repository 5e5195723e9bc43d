/*
 * busy THREADS: threads that allocate and free all the time, and lose nothing. It says "ready" and goes on
 * until its input ends.
 *
 * A block holds the only pointer to another one: whoever takes the first for free when it is not, calls
 * the second lost. Blocks change hands through a table, so that most are freed by another thread.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 4096 };

struct node {
    struct node *below;
    char rest[];
};

static struct node *table[SLOTS];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct node *node_make(uint64_t *random, struct node *below)
{
    uint64_t n = next_random(random);
    size_t size = sizeof(struct node) + 8 + (n % 64 == 0 ? (n >> 8) % 40000 : (n >> 8) % 500);
    struct node *node = malloc(size);
    if (!node) _exit(97);
    memset(node, 0, size);
    node->below = below;
    return node;
}

static void node_drop(struct node *node)
{
    if (!node) return;
    free(node->below);
    free(node);
}

static void *worker(void *argument)
{
    uint64_t random = 88172645463325252u + (uintptr_t)argument * 7919;
    for (;;) {
        struct node *below = node_make(&random, NULL);
        struct node *node = node_make(&random, below);
        if (next_random(&random) % 8 == 0) {
            struct node *moved = realloc(node, 64 + next_random(&random) % 2000);
            if (moved) node = moved;
        }
        struct node **slot = &table[next_random(&random) % SLOTS];
        node_drop(__atomic_exchange_n(slot, node, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    char byte;
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)(uintptr_t)i) != 0) return 98;
    }
    usleep(100000); /* not waited for: it only makes the first look more telling */
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    _exit(0);
}
