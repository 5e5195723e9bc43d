/* sparse: 8 TiB of addresses, of which a page in 64 GiB is used; the last one keeps 20 blocks, and 5 more are lost. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEPT = 20, LOST = 5, BYTES = 200 };
#define SIZE ((uint64_t)8 << 40)
#define STEP ((uint64_t)64 << 30)

static __attribute__((noinline)) void make(char **to, int count)
{
    for (int i = 0; i < count; i++) {
        to[i] = malloc(BYTES);
        memset(to[i], 'x', BYTES);
    }
}

static __attribute__((noinline)) void lose(void)
{
    char *blocks[LOST];
    make(blocks, LOST);
    memset(blocks, 0, sizeof blocks);
    __asm__ volatile("" : : "r"(blocks) : "memory");
}

int main(void)
{
    char byte, *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return 77;
    for (uint64_t at = 0; at < SIZE; at += STEP) p[at] = 1;
    make((char **)(p + SIZE - STEP), KEPT);
    lose();
    free(malloc(BYTES));
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}
