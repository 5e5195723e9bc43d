/*
 * F: memory that still holds what another owner left there: secrets, addresses of the heap, addresses of
 * libraries. The attacker gets a block and reads it before anybody has written to it.
 */
#include "corpus.h"

#include <stdio.h>

enum { MIB = 1 << 20 };

INLINE void goal_if_left(size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        byte *fresh = take(size);
        if (find_word(fresh, size, SECRET)) goal("a new block holds another owner's secret");
        crowd_add(&crowd, fresh);
    }
    crowd_drop(&crowd);
}

INLINE void recycle(size_t size, size_t count)
{
    byte *secret = take(size);
    fill_words(secret, SECRET, size);
    drop(secret);
    goal_if_left(size, count);
}

void F01(void)
{
    recycle(64, 1024);
}

void F02(void)
{
    recycle(4096, 256);
}

void F03(void)
{
    recycle(300000, 16);
}

// A text that grows leaves copies behind.
void F04(void)
{
    byte *text = take(128), *fence = take(128);
    fill_words(text, SECRET, 128);
    void *grown = resize(text, 10000);
    goal_if_left(128, 512);
    drop(grown);
    drop(fence);
}

void F05(void)
{
    crowd_take(&crowd, 96, 64);
    uintptr_t near = (uintptr_t)crowd.at[32];
    for (size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], 0, 96);
    crowd_drop(&crowd);
    for (size_t i = 0; i < 256; i++) {
        uintptr_t *fresh = take(96);
        for (size_t word = 0; word < 12; word++)
            if (fresh[word] - near + (64 << 20) < 128 << 20)
                goal("a new block holds an address of the heap");
        crowd_add(&crowd, fresh);
    }
    crowd_drop(&crowd);
}

void F06(void)
{
    void *fence[4], *freed[4];
    for (size_t i = 0; i < 4; i++) {
        freed[i] = take(2000);
        fill(freed[i], 0, 2000);
        fence[i] = take(48);
    }
    for (size_t i = 0; i < 4; i++) drop(freed[i]);
    for (size_t i = 0; i < 32; i++) {
        uint64_t *fresh = take(2000);
        for (size_t word = 0; word < 8; word++)
            if (points_somewhere(fresh[word]))
                goal("a new block holds an address of a library or the heap");
        crowd_add(&crowd, fresh);
    }
    crowd_drop(&crowd);
    for (size_t i = 0; i < 4; i++) drop(fence[i]);
}

// Shrunk, and then larger again: between, the end belonged to nobody.
void F07(void)
{
    byte *text = take(2048);
    fill_words(text, SECRET, 2048);
    text = resize(text, 64);
    crowd_take(&crowd, 1024, 16);
    for (size_t i = 0; i < crowd.count; i++)
        if (find_word(crowd.at[i], 1024, SECRET)) goal("a new block holds what was cut off");
    crowd_drop(&crowd);
    drop(text);
}

void F08(void)
{
    byte *secret = take_aligned(64, 256);
    fill_words(secret, SECRET, 256);
    drop(secret);
    for (size_t i = 0; i < 512; i++) {
        byte *fresh = take_aligned(64, 256);
        if (find_word(fresh, 256, SECRET)) goal("a new block holds another owner's secret");
        crowd_add(&crowd, fresh);
    }
    crowd_drop(&crowd);
}

static void *leave_secret(void *unused)
{
    for (size_t i = 0; i < 100; i++) {
        crowd_add(&others, take(200));
        fill_words(others.at[i], SECRET, 200);
    }
    crowd_drop(&others);
    return unused;
}

static void *find_secret(void *unused)
{
    goal_if_left(200, 2048);
    return unused;
}

void F09(void)
{
    in_thread(leave_secret, NULL);
    in_thread(find_secret, NULL);
}

// Whatever guards the end of a block is read first, and then written again in passing.
void F10(void)
{
    crowd_take(&crowd, 64, 256);
    for (size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], 0x5a, 64);
    crowd_sort(&crowd);
    byte *mine = crowd_pull(&crowd, 128), *next = crowd.at[0];
    for (size_t i = 0; i < crowd.count; i++)
        if ((uintptr_t)crowd.at[i] - (uintptr_t)mine < (uintptr_t)next - (uintptr_t)mine)
            next = crowd.at[i];
    size_t between = (size_t)(next - mine);
    if (between > 4096) return;
    for (size_t at = 64; at < between; at++) {
        byte seen = ((volatile byte *)mine)[at];
        ((volatile byte *)mine)[at] = seen;
    }
    *(volatile byte *)next = 0x41;
    drop(mine);
    if (*(volatile byte *)next == 0x41)
        goal("a neighbour is changed, and the guard between is as it was");
    crowd_drop(&crowd);
}

// What lies behind what was asked for, up to what the program may use.
void F11(void)
{
    crowd_take(&crowd, 112, 256);
    for (size_t i = 0; i < crowd.count; i++) fill_words(crowd.at[i], SECRET, 112);
    crowd_drop(&crowd);
    for (size_t i = 0; i < 512; i++) {
        byte *fresh = take(100);
        fill(fresh, 0, 100);
        size_t room = usable(fresh);
        if (room > 104 && find_word(fresh + 104, room - 104, SECRET))
            goal("the end of a new block holds another owner's secret");
        crowd_add(&crowd, fresh);
    }
    crowd_drop(&crowd);
}

void F12(void)
{
    byte *text = take(4000);
    fill_words(text, SECRET, 4000);
    text = resize(text, 16);
    drop(text);
    goal_if_left(4000, 64);
    goal_if_left(2000, 64);
}

void F13(void)
{
    char *password = strdup("correct-horse-battery-staple-0123456789");
    drop(password);
    for (size_t i = 0; i < 512; i++) {
        char *fresh = take(40);
        if (!memcmp(fresh + 16, "ttery-staple", 12)) goal("a new block holds another owner's text");
        crowd_add(&crowd, fresh);
    }
    crowd_drop(&crowd);
}

void F14(void)
{
    byte *secret = take(2 * MIB);
    fill_words(secret, SECRET, 2 * MIB);
    drop(secret);
    // Parts of what was large, for small blocks.
    goal_if_left(1000, 8192);
}

// The byte order of a text's end: a text that was not ended, then printed.
void F15(void)
{
    byte *old = take(256);
    fill(old, 's', 255);
    old[255] = '\0';
    drop(old);
    for (size_t i = 0; i < 512; i++) {
        char *fresh = take(256);
        memcpy(fresh, "public: the news", 16);
        char printed[300];
        snprintf(printed, sizeof printed, "%.256s", OPAQUE(fresh));
        if (strstr(printed, "ssssssss")) goal("the end of another's text is printed");
        crowd_add(&crowd, fresh);
    }
    crowd_drop(&crowd);
}
