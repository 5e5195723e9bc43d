/*
 * B: a block is freed twice. The goal of most: two blocks that are in use at once share memory. Between
 * the two frees happens what keeps the simpler checks from seeing the second.
 */
#include "corpus.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

// Takes and frees n blocks of size bytes: they fill the caches.
INLINE void fill_caches(size_t size, size_t n)
{
    crowd_take(&crowd, size, n);
    crowd_drop(&crowd);
}

void B01(void)
{
    void *block = take(32);
    drop(block);
    drop(block);
    goal_if_twice(32, 4096);
}

void B02(void)
{
    void *one = take(32), *two = take(32);
    drop(one);
    drop(two);
    drop(one);
    goal_if_twice(32, 4096);
}

void B03(void)
{
    void *block = take(48);
    crowd_take(&crowd, 48, 3);
    drop(block);
    crowd_drop(&crowd);
    drop(block);
    goal_if_twice(48, 4096);
}

// glibc's list of a thread holds seven blocks of a size; the next go to the arena's fast bins.
void B04(void)
{
    crowd_take(&crowd, 48, 7);
    void *one = take(48), *two = take(48);
    crowd_drop(&crowd);
    drop(one);
    drop(two);
    drop(one);
    goal_if_twice(48, 4096);
}

void B05(void)
{
    void *block = take(64);
    crowd_take(&crowd, 64, 100);
    drop(block);
    crowd_drop(&crowd);
    drop(block);
    goal_if_twice(64, 4096);
}

void B06(void)
{
    void *block = take(64);
    crowd_take(&crowd, 64, 10000);
    drop(block);
    crowd_drop(&crowd);
    drop(block);
    goal_if_twice(64, 16384);
}

void B07(void)
{
    void *block = take(MIB);
    drop(block);
    drop(block);
    goal_if_twice(MIB, 16);
}

void B08(void)
{
    void *block = take(200000);
    drop(take(200000));
    drop(block);
    crowd_take(&crowd, 100000, 8);
    drop(block);
    goal_if_twice(200000, 16);
    crowd_drop(&crowd);
}

static void *free_it(void *block)
{
    drop(block);
    return NULL;
}

void B09(void)
{
    void *block = take(80);
    in_thread(free_it, block);
    drop(block);
    goal_if_twice(80, 4096);
}

static pthread_barrier_t both;

static void *free_at_once(void *block)
{
    pthread_barrier_wait(&both);
    drop(block);
    return NULL;
}

void B10(void)
{
    pthread_barrier_init(&both, NULL, 2);
    for (unsigned i = 0; i < 50; i++) {
        pthread_t other;
        void *block = take(96);
        if (pthread_create(&other, NULL, free_at_once, block)) refused("pthread_create");
        free_at_once(block);
        pthread_join(other, NULL);
    }
    goal_if_twice(96, 4096);
}

void B11(void)
{
    void *block = take(3000);
    void *fence = take(3000);
    drop(block);
    drop(block);
    goal_if_twice(3000, 512);
    drop(fence);
}

void B12(void)
{
    void *block = take(64);
    drop(block);
    void *again = resize(block, 64);
    if (again) crowd_add(&others, again);
    goal_if_twice(64, 4096);
}

// The second free gives away what has another owner by now.
void B13(void)
{
    void *block = take(112), *owned = NULL;
    drop(block);
    for (size_t i = 0; i < 4096 && !owned; i++) {
        void *fresh = take(112);
        if (OPAQUE(fresh) == block)
            owned = fresh;
        else
            crowd_add(&crowd, fresh);
    }
    drop(block);
    if (owned) crowd_add(&others, owned);
    goal_if_twice(112, 4096);
    crowd_drop(&crowd);
}

void B14(void)
{
    void *block = take(64);
    drop(block);
    drop(block);
    goal("the process went on to its end, and nobody noticed");
    _exit(0);
}

void B15(void)
{
    void *block = take_zeroed(128);
    drop(take_zeroed(128));
    drop(block);
    drop(block);
    for (size_t i = 0; i < 4096; i++) crowd_add(&others, take_zeroed(128));
    if (crowd_collides(&others, 128)) goal("calloc handed one block out twice");
    crowd_drop(&others);
}

void B16(void)
{
    void *block = take(64);
    void *rest = resize(block, 0);
    if (rest) missing("realloc to nothing does not free");
    drop(block);
    goal_if_twice(64, 4096);
}

void B17(void)
{
    void *block = take(64);
    drop(block);
    void *grown = resize(block, 4000);
    // The old block was freed once more on the way.
    goal_if_twice(64, 4096);
    drop(grown);
}

void B18(void)
{
    void *block = take_aligned(128, 256);
    drop(block);
    drop(block);
    for (size_t i = 0; i < 1024; i++) crowd_add(&others, take_aligned(128, 256));
    if (crowd_collides(&others, 256)) goal("one block was handed out twice");
    crowd_drop(&others);
}

void B19(void)
{
    void *block = take(24);
    drop(block);
    // What some allocators keep in a freed block to know it again.
    fill(block, 0, 24);
    drop(block);
    goal_if_twice(24, 4096);
}

void B20(void)
{
    void *block = OPAQUE(malloc(OPAQUE((size_t)0)));
    if (!block) missing("malloc(0) gives nothing");
    drop(block);
    drop(block);
    crowd_take(&others, 0, 4096);
    for (size_t i = 0; i < 8; i++)
        for (size_t j = i + 1; j < others.count; j++)
            if (others.at[i] == others.at[j]) goal("one block was handed out twice");
    crowd_drop(&others);
}

static void *take_and_free(void *block)
{
    void **given = block;
    *given = take(72);
    drop(*given);
    return NULL;
}

void B21(void)
{
    void *block = NULL;
    in_thread(take_and_free, &block);
    // Its thread has ended, and another one gets what it had.
    drop(block);
    goal_if_twice(72, 4096);
}

void B22(void)
{
    void *block = take(80);
    drop(block);
    malloc_trim(0);
    drop(block);
    goal_if_twice(80, 4096);
}

void B23(void)
{
    void *block = take(300 << 10);
    crowd_take(&crowd, 300 << 10, 40);
    drop(block);
    crowd_drop(&crowd);
    drop(block);
    goal_if_twice(300 << 10, 64);
}

void B24(void)
{
    fill_caches(20000, 4);
    void *one = take(20000), *fence = take(20000), *two = take(20000);
    drop(one);
    drop(two);
    drop(one);
    goal_if_twice(20000, 256);
    drop(fence);
}

// Two owners of one text, each of which frees it in its end; between the two another one is made.
struct owner {
    char *text;
};

void B25(void)
{
    struct owner first = {strdup("an owner's text, of forty bytes in all...")}, second = first;
    drop(first.text);
    char *fresh = strdup("somebody else's, of forty bytes in all...");
    drop(second.text);
    char *third = strdup("the attacker's, and of forty bytes as well");
    if (fresh && fresh == third) goal("two owners share one text");
    drop(third);
    if (third != fresh) drop(fresh);
}

void B26(void)
{
    void *block = take(1000);
    crowd_take(&crowd, 1000, 63);
    in_thread(free_it, block);
    for (size_t i = 0; i < crowd.count; i++) in_thread(free_it, crowd.at[i]);
    crowd.count = 0;
    drop(block);
    goal_if_twice(1000, 1024);
}
