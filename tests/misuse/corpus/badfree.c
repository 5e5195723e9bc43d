/*
 * C: what is freed is no block. The attacker wants malloc to return an address of his choice, or one within
 * a block that is in use. Where that cannot be, because nothing can be handed out there, the case only asks
 * whether the mistake is noticed at all.
 */
#include "corpus.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

// What glibc has in front of a block: sizes that fit together, for whoever believes what is there.
static void forge_headers(uint64_t *at, size_t words, uint64_t size)
{
    for (size_t i = 0; i < words; i++) at[i] = i % 2 ? size | 1 : 0;
}

INLINE void free_within(size_t block_size, ptrdiff_t offset, size_t count)
{
    byte *block = take(block_size);
    fill(block, 0, block_size);
    drop(block + offset);
    // Classes that the wrong block may have gone to.
    if (comes_back(block, block_size, block_size, count) ||
        comes_back(block, block_size, 24, count) ||
        comes_back(block, block_size, block_size / 2, count))
        goal("a block lies inside another that is in use");
    crowd_drop(&others);
    drop(block);
}

void C01(void)
{
    free_within(256, 16, 256);
}

void C02(void)
{
    free_within(256, 8, 256);
}

void C03(void)
{
    free_within(256, 1, 256);
}

void C04(void)
{
    uint64_t local[64] __attribute__((aligned(64)));
    fill(local, 0, sizeof local);
    forge_headers(local, 64, 0x50);
    drop(&local[2]);
    if (comes_back(local, sizeof local, 64, 64)) goal("malloc returned an address of the stack");
    crowd_drop(&others);
}

static uint64_t global[512] __attribute__((aligned(64)));

void C05(void)
{
    forge_headers(global, 512, 0x50);
    drop(&global[2]);
    goal_if_within(global, sizeof global, 64, 64);
}

// A block's own surroundings, copied to where the attacker may write: headers and all.
void C06(void)
{
    byte *block = take(64), *elsewhere = other_memory(2 * 65536);
    byte *copy = (byte *)(((uintptr_t)elsewhere + 65535) & ~(uintptr_t)65535);
    uintptr_t within = (uintptr_t)block & 4095;
    if (within < 16) within = 16;
    for (size_t i = 0; i < 96; i++)
        copy[within - 16 + i] = ((volatile byte *)block)[(ptrdiff_t)i - 16];
    drop(copy + within);
    goal_if_within(elsewhere, 2 * 65536, 64, 64);
    drop(block);
}

void C07(void)
{
    byte *mapped = other_memory(65536);
    forge_headers((uint64_t *)mapped, 8192, 0x50);
    drop(mapped + 16);
    goal_if_within(mapped, 65536, 64, 64);
}

void C08(void)
{
    free_within(2 * MIB, 4096, 16);
}

void C09(void)
{
    drop((void *)OPAQUE(UINT64_C(0x1234567890)));
    goal("nobody noticed");
}

// The place behind a block, which belongs to the next, or to nobody yet.
void C10(void)
{
    crowd_take(&crowd, 64, 32);
    crowd_sort(&crowd);
    byte *last = crowd.at[crowd.count - 1], *before = crowd.at[crowd.count - 2];
    byte *next = last + (last - before);
    drop(next);
    goal_if_twice(64, 512);
    crowd_drop(&crowd);
}

void C11(void)
{
    crowd_take(&crowd, 48, 256);
    drop((byte *)crowd.at[100] + 48);
    crowd_take(&others, 48, 512);
    for (size_t i = 0; i < crowd.count; i++)
        if (crowd_over(&others, 48, crowd.at[i], 48))
            goal("a block lies inside another that is in use");
    crowd_drop(&others);
    crowd_drop(&crowd);
}

void C12(void)
{
    byte *block = take(512);
    forge_headers((uint64_t *)block, 64, 0x50);
    drop(block + 16);
    goal_if_within(block, 512, 64, 64);
    goal_if_within(block, 512, 512, 64);
    drop(block);
}

void C13(void)
{
    free_within(4096, 2048, 64);
}

void C14(void)
{
    byte *block = take(3000);
    // Where a block of this size could be, and none has been made.
    drop(block + 16 * (ptrdiff_t)(usable(block) + 8));
    goal("nobody noticed");
    drop(block);
}

static void code(void) {}

void C15(void)
{
    drop((void *)OPAQUE((uintptr_t)code));
    goal("nobody noticed");
}

void C16(void)
{
    drop(OPAQUE(environ[0]));
    goal("nobody noticed");
}

void C17(void)
{
    byte *block = take(256);
    fill(block, 0, 256);
    byte *moved = resize(block + 32, 200);
    if (moved && overlap(moved, 200, block, 256))
        goal("a block lies inside another that is in use");
    goal("nobody noticed");
    drop(block);
}

void C18(void)
{
    drop((void *)OPAQUE((uintptr_t)16));
    goal("nobody noticed");
}

static void *free_stack(void *unused)
{
    uint64_t local[64] __attribute__((aligned(64)));
    forge_headers(local, 64, 0x50);
    drop(&local[4]);
    if (comes_back(local, sizeof local, 64, 64)) goal("malloc returned an address of the stack");
    crowd_drop(&others);
    return unused;
}

void C19(void)
{
    in_thread(free_stack, NULL);
}

void C20(void)
{
    drop(OPAQUE(MAP_FAILED));
    goal("nobody noticed");
}

void C21(void)
{
    byte *block = take(MIB);
    void *page = (void *)(((uintptr_t)block + 65536) & ~(uintptr_t)65535);
    fill(block, 0, MIB);
    drop(page);
    if (comes_back(block, MIB, 65536, 64) || comes_back(block, MIB, 64, 1024) ||
        comes_back(block, MIB, MIB, 16))
        goal("a block lies inside another that is in use");
    crowd_drop(&others);
    drop(block);
}

static __thread uint64_t own[64] __attribute__((aligned(64)));

void C22(void)
{
    forge_headers(own, 64, 0x50);
    drop(&own[2]);
    goal_if_within(own, sizeof own, 64, 64);
}

// realloc of memory that is none of malloc's, which then grows.
void C23(void)
{
    forge_headers(global, 512, 0x50);
    drop(resize(&global[2], 60));
    goal_if_within(global, sizeof global, 64, 64);
}

// A pointer that an object held when it was freed, found again in the memory of the next.
struct node {
    struct node *next;
    char *text;
    uint64_t rest[4];
};

void C24(void)
{
    struct node *old = take(sizeof *old);
    old->text = strdup("still in use by somebody else");
    char *text = old->text;
    drop(old);
    struct node *fresh = take(sizeof *fresh);
    // Never set: its end frees what it finds.
    if (OPAQUE(fresh->text) == text) {
        drop(fresh->text);
        char *stolen = strdup("the attacker's, in its place.");
        if (stolen == text) goal("the text of another owner was freed and replaced");
        drop(stolen == text ? NULL : stolen);
    }
    drop(fresh);
    drop(text);
}

void C25(void)
{
    byte *block = take(MIB);
    drop(block);
    // A part of what was a block.
    drop(block + 65536);
    goal("nobody noticed");
}

void C26(void)
{
    void *page = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    drop((byte *)OPAQUE(page) + 4096);
    goal("nobody noticed");
}

void C27(void)
{
    byte *block = take(64);
    // Inside the address range of the heap, but far from everything in use.
    drop((byte *)((uintptr_t)block & ~UINT64_C(0xfff)) + (UINT64_C(1) << 28));
    goal("nobody noticed");
    drop(block);
}
