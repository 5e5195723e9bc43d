/*
 * jump: blocks that nothing knows but words as glibc writes them into a jmp_buf (PTR_MANGLE: the word XORed with the
 * guard of the thread's control block, rotated by 17), as a coroutine's stack whose stack pointer is there. None may go;
 * blocks that are really lost show that looks are made, and what goes is written over at once.
 */
#include <dlfcn.h>
#include <freehold/plug.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCKS = 20, SIZE = 64 << 10, ROUNDS = 5 };

#ifdef __x86_64__
static uint64_t jump[BLOCKS];

static uint64_t mangled(uint64_t word)
{
    __asm__("xor %%fs:0x30, %0\n\trol $17, %0" : "+r"(word));
    return word;
}

static uint64_t taken_back(uint64_t word)
{
    __asm__("ror $17, %0\n\txor %%fs:0x30, %0" : "+r"(word));
    return word;
}

static __attribute__((noinline)) void hide(int i)
{
    char *p = malloc(SIZE);
    if (!p) abort();
    memset(p, i + 1, SIZE);
    jump[i] = mangled((uintptr_t)p + SIZE / 2);
}

static __attribute__((noinline)) void check(int i)
{
    const char *p = (const char *)(uintptr_t)(taken_back(jump[i]) - SIZE / 2);
    for (size_t at = 0; at < SIZE; at++)
        if (p[at] != i + 1) {
            fprintf(stderr, "FAILED: block %d went\n", i);
            abort();
        }
}

/* Takes what has come free, and loses a little. */
static __attribute__((noinline)) void churn(void)
{
    char *volatile p = malloc(500);
    memset(p, 'x', 500);
    p = malloc(SIZE);
    memset(p, 0xee, SIZE);
    free(p);
}

static __attribute__((noinline)) void stack_clear(void)
{
    volatile char bytes[16384];
    memset((char *)bytes, 0, sizeof bytes);
}

int main(void)
{
    const struct fh_registry *registry = dlsym(RTLD_DEFAULT, "fh_registry");
    if (!registry || !registry->plug) abort();
    const struct fh_plug_box *box = (const void *)(uintptr_t)registry->plug;
    for (int i = 0; i < BLOCKS; i++) hide(i);
    stack_clear();
    while (box->lists < ROUNDS || box->blocks < 100) {
        churn();
        nanosleep(&(struct timespec){0, 3000000}, NULL);
    }
    if (box->freed_runs_bytes) {
        fprintf(stderr, "FAILED: blocks of their size went\n");
        abort();
    }
    for (int i = 0; i < BLOCKS; i++) check(i);
    puts("ok");
    return 0;
}
#else
int main(void)
{
    puts("not known on this machine");
    return 77;
}
#endif
