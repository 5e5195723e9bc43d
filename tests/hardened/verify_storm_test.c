/*
 * Option verify_ms beside a correct program: threads make, fill, resize, free and hand over blocks of all sizes for a while,
 * and few sizes in tight loops, whose slots go round fast. Not a word must be said of it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, HELD = 64 };

static _Atomic(char *) handed[THREADS];
static double seconds = 2;
static time_t begun;

static int is_over(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun) >= seconds;
}

/* xorshift: the same for each run of a thread. */
static unsigned next(unsigned *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static void tight(void)
{
    for (size_t i = 0; i < 2000; i++) {
        size_t size = i % 2 ? 24 : 40 - i % 16;
        char *volatile p = malloc(size);
        memset(p, 0xff, size);
        free(p);
    }
}

static void *storm(void *argument)
{
    unsigned me = (unsigned)(size_t)argument, random = me * 7919 + 1;
    char *held[HELD] = {0};
    while (!is_over()) {
        tight();
        for (int i = 0; i < 500; i++) {
            unsigned at = next(&random) % HELD, shift = next(&random) % 15;
            size_t size = next(&random) % (16u << shift) + 1;
            held[at] = realloc(held[at], size);
            if (held[at] == NULL) abort();
            memset(held[at], 0xee, size);
            if (i % 5 == 0) {
                held[at] = atomic_exchange(&handed[(me + 1) % THREADS], held[at]);
            } else if (i % 2) {
                free(held[at]);
                held[at] = NULL;
            }
        }
    }
    for (int i = 0; i < HELD; i++) free(held[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    struct timespec now;
    if (argc > 1) seconds = atof(argv[1]);
    clock_gettime(CLOCK_MONOTONIC, &now);
    begun = now.tv_sec;
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, storm, (void *)i) != 0) return 1;
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return 0;
}
