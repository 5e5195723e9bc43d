/*
 * twin [ROUNDS...]: threads whose every round follows from the one before, in the heap, in registers and
 * through the kernel. It says "ready", and when its input ends, the rounds that each thread made and what
 * came of them. Started with those numbers it makes as many rounds, undisturbed, and must say the same. With
 * "splice" its first thread waits in a call of that name, in which nobody borrows it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, SLOTS = 500, STEPS = 200 };

struct runner {
    uint64_t rounds, limit; /* limit 0: until told to end */
    uint64_t sum;
    double real;
    uint64_t random;
    unsigned char *block[SLOTS];
    size_t size[SLOTS];
    int pipe[2];
};

static atomic_bool ending;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void step(struct runner *r)
{
    size_t slot = next_random(&r->random) % SLOTS, size = 16 + next_random(&r->random) % 600;
    for (size_t i = 0; i < r->size[slot]; i++) r->sum = r->sum * 31 + r->block[slot][i];
    free(r->block[slot]);
    r->block[slot] = malloc(size);
    r->size[slot] = size;
    memset(r->block[slot], (int)(r->sum & 0xff), size);
    r->real = r->real * 0.999 + (double)(r->sum & 0xffff) / 3;
}

static void *run(void *argument)
{
    struct runner *r = argument;
    struct timespec moment = {0, 1000000};
    while (r->limit ? r->rounds < r->limit : !ending) {
        for (int i = 0; i < STEPS; i++) step(r);
        uint64_t sent = r->sum, received = 0;
        if (write(r->pipe[1], &sent, sizeof sent) != sizeof sent ||
            read(r->pipe[0], &received, sizeof received) != sizeof received)
            r->sum ^= 1;
        r->sum += received;
        r->rounds++;
        if (!r->limit) nanosleep(&moment, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct runner runners[THREADS];
    pthread_t threads[THREADS];
    char byte;
    for (int i = 0; i < THREADS; i++) {
        runners[i].random = 88172645463325252u + (uint64_t)i;
        if (argc > THREADS) runners[i].limit = strtoull(argv[1 + i], NULL, 10);
        if (pipe(runners[i].pipe) || pthread_create(&threads[i], NULL, run, &runners[i])) return 98;
    }
    if (argc <= THREADS) {
        puts("ready");
        fflush(stdout);
        while (argc == 2 ? splice(0, NULL, runners[0].pipe[1], NULL, 1, 0) > 0
                         : read(0, &byte, 1) > 0) {
        }
        ending = true;
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        printf("%llu %llx %.17g\n", (unsigned long long)runners[i].rounds,
               (unsigned long long)runners[i].sum, runners[i].real);
    return 0;
}
