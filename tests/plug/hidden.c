/*
 * hidden: blocks whose only pointers are XORed, so that every look finds them lost; each is written to every few
 * milliseconds, and none may go. Blocks that are really lost show that looks are made. If this program did not get to
 * write for long, nothing can be said: exit status 77.
 */
#include <dlfcn.h>
#include <freehold/plug.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCKS = 200, WORDS = 30, LATE_MS = 800 };

static uint64_t hidden[BLOCKS];
static volatile uint64_t mask = 0x5a5a5a5a5a5a5a5a;

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static __attribute__((noinline)) void hide(int i)
{
    uint64_t *p = calloc(WORDS, sizeof *p);
    if (!p) abort();
    hidden[i] = (uintptr_t)p ^ mask;
}

static __attribute__((noinline)) void write_one(int i, uint64_t round)
{
    uint64_t *p = (uint64_t *)(uintptr_t)(hidden[i] ^ mask);
    for (int j = 0; j < WORDS; j++) {
        if (p[j] != (round ? round + (uint64_t)j - 1 : 0)) {
            fprintf(stderr, "FAILED: a block that was written to went\n");
            abort();
        }
        p[j] = round + (uint64_t)j;
    }
}

static __attribute__((noinline)) void lose(void)
{
    char *volatile p = malloc(500);
    memset(p, 'x', 500);
    p = malloc(70000);
    free(p);
}

int main(void)
{
    const struct fh_registry *registry = dlsym(RTLD_DEFAULT, "fh_registry");
    if (!registry || !registry->plug) abort();
    const struct fh_plug_box *box = (const void *)(uintptr_t)registry->plug;
    for (int i = 0; i < BLOCKS; i++) hide(i);
    uint64_t before = now_ms();
    for (uint64_t round = 0; box->lists < 6 || box->blocks < 100; round++) {
        uint64_t now = now_ms();
        if (now - before > LATE_MS) {
            puts("the machine is too busy");
            return 77;
        }
        before = now;
        for (int i = 0; i < BLOCKS; i++) write_one(i, round);
        lose();
        nanosleep(&(struct timespec){0, 3000000}, NULL);
    }
    puts("ok");
    return 0;
}
