/*
 * I: arguments that no honest caller has: sizes that overflow when they are rounded up or multiplied,
 * alignments that are none. The attacker wants a block that is smaller than was asked for; where an
 * answer is merely wrong, it is hygiene.
 */
#include "corpus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile size_t most = SIZE_MAX;

// Nobody has so much memory: whatever was given is smaller.
static void goal_if_given(void *block)
{
    if (OPAQUE(block)) goal("a block was given that is smaller than was asked for");
}

void I01(void)
{
    goal_if_given(malloc(most));
}

void I02(void)
{
    goal_if_given(malloc(most / 2 + 2));
}

void I03(void)
{
    for (size_t less = 0; less < 8192; less++) goal_if_given(malloc(most - less));
}

void I04(void)
{
    crowd_take(&crowd, 64, 8);
    for (size_t i = 0; i < 16; i++) {
        void *block = OPAQUE(aligned_alloc(OPAQUE((size_t)65536), 65536));
        if ((uintptr_t)block % 65536) goal("a block is not aligned as was asked for");
        drop(block);
    }
    crowd_drop(&crowd);
}

void I05(void)
{
    void *block = NULL;
    if (posix_memalign(&block, OPAQUE((size_t)24), 64) != EINVAL)
        goal("an alignment that is no power of two was accepted");
    if (posix_memalign(&block, OPAQUE((size_t)4), 64) != EINVAL)
        goal("an alignment below a pointer's was accepted");
    drop(block);
}

void I06(void)
{
    for (size_t i = 0; i < 8; i++) {
        void *block = OPAQUE(memalign(OPAQUE((size_t)1 << 21), 100));
        if ((uintptr_t)block % (1 << 21)) goal("a block is not aligned as was asked for");
        crowd_add(&crowd, block);
    }
    crowd_drop(&crowd);
}

void I07(void)
{
    size_t count = most / 16 + 2;
    goal_if_given(calloc(count, OPAQUE((size_t)16)));
    goal_if_given(calloc(OPAQUE((size_t)1 << 32), OPAQUE(((size_t)1 << 32) + 1)));
}

void I08(void)
{
    void *block = take(16);
    goal_if_given(reallocarray(block, most / 16 + 2, OPAQUE((size_t)16)));
    drop(block);
}

void I09(void)
{
    byte *block = take(64);
    drop(block);
    byte *again = resize(block, 32);
    // Whoever resizes a freed block shall not get it back.
    if (again == block) goal("a freed block was given back by realloc");
}

void I10(void)
{
    for (size_t less = 0; less < 8192; less += 64) goal_if_given(pvalloc(most - less));
}

void I11(void)
{
    byte *block = take(64);
    drop(block);
    if (usable(block)) goal("a freed block has a size, and nobody noticed");
}

void I12(void)
{
    byte *block = take(256);
    fill(block, 0x40, 256);
    if (usable(block + 48)) goal("the middle of a block has a size, and nobody noticed");
    drop(block);
}

void I13(void)
{
    for (size_t bits = 4; bits < 21; bits++)
        for (size_t less = 0; less < 256; less += 15)
            goal_if_given(aligned_alloc((size_t)1 << bits, most - less));
}

void I14(void)
{
    for (size_t less = 0; less < 8192; less += 63) {
        void *block = NULL;
        if (!posix_memalign(&block, 4096, most - less)) goal_if_given(block);
    }
}

void I15(void)
{
    uint64_t local[16] = {0x31, 0x31, 0x31};
    if (usable(OPAQUE(&local[2]))) goal("the stack has blocks, and nobody noticed");
}

void I16(void)
{
    char line[128] = "";
    byte *block = OPAQUE(calloc(OPAQUE((size_t)64 << 20), 1));
    if (!block) refused("calloc");
    int file = open("/proc/self/statm", O_RDONLY);
    if (file < 0 || read(file, line, sizeof line - 1) <= 0) refused("/proc/self/statm");
    close(file);
    // Resident pages are the second number; all of what was asked for is 16,384 pages.
    if (strtoul(strchr(line, ' '), NULL, 10) > 100000) goal("64 MiB of bytes took 400 MB at once");
    drop(block);
}

void I17(void)
{
    for (size_t less = 0; less < 8192; less += 8) {
        void *block = take(64);
        void *moved = resize(block, most - less);
        goal_if_given(moved);
        drop(moved ? moved : block);
        if (goal_reached()) return;
    }
}

void I18(void)
{
    goal_if_given(memalign((size_t)1 << 63, 8));
    goal_if_given(memalign((size_t)1 << 62, (size_t)1 << 62));
    goal_if_given(memalign(OPAQUE((size_t)1 << 20), most - (1 << 19)));
}

void I19(void)
{
    for (size_t less = 0; less < 8192; less += 63) goal_if_given(valloc(most - less));
}

void I20(void)
{
    byte *block = take(64);
    drop(block);
    byte *moved = resize(block, 5000);
    if (moved) goal("a freed block was resized, and nobody noticed");
    drop(moved);
}

void I21(void)
{
    // A count from outside, and a header: the sum overflows, as it does in many programs.
    size_t count = OPAQUE(most / 8 + 1);
    size_t size = count * 8 + 16;
    byte *table = take(size);
    crowd_take(&crowd, 16, 256);
    for (size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], 0x5a, 16);
    for (size_t i = 0; i < 32; i++) ((volatile uint64_t *)(table + 16))[i] = 0x41;
    for (size_t i = 0; i < crowd.count; i++)
        if (!filled_with(crowd.at[i], 0x5a, 16)) goal("a neighbour's data is changed");
    drop(table);
    crowd_drop(&crowd);
}
