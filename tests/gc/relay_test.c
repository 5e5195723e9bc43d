/*
 * Threads that hand objects to each other through shared slots, and hold them nowhere but on their
 * stacks in between. What could break: an object that is on the stack of a thread whose roots were taken
 * already, and that another thread just took out of the only slot it was in, is freed (the snapshot
 * protocol's reason to be); a list that is rewired while it is marked loses its tail.
 *
 *      relay_test STEPS SEED THREADS policy=N debug=N
 */
#include <freehold/gc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/expect.h"
#include "kit/random.h"

enum { SLOTS = 128, HELD = 12, LENGTH = 40 };

struct item {
    uint64_t check;
    struct item *next;
    struct item *other;
    uint64_t count; /* items behind this one */
};
FH_GC_TYPE(item, next, other)
static struct fh_gc_type item_type; /* the same, pinned: an item is known by its address */

static struct fh_gc_heap *heap;
static struct item **slots; /* an object of the heap, in a handle */
static struct fh_gc_options options;
static int steps;
static uint64_t seed;

static uint64_t check_of(const struct item *item)
{
    return (uintptr_t)item ^ 0x5eed5eed5eed5eedull;
}

static struct item *item_new(struct item *next)
{
    struct item *item = fh_gc_new_inline(heap, &item_type, sizeof *item);
    EXPECT(item && item->check == 0 && item->next == NULL && item->count == 0, "a fresh item");
    item->check = check_of(item);
    fh_gc_store(heap, &item->next, next);
    item->count = next ? next->count + 1 : 0;
    return item;
}

/* Others may cut a list that two of them hold. */
static struct item *next_of(const struct item *item)
{
    return __atomic_load_n(&item->next, __ATOMIC_ACQUIRE);
}

static void item_check(const struct item *item, unsigned most)
{
    for (; item && most > 0; item = next_of(item), most--) {
        EXPECT(item->check == check_of(item), "item %p was freed while in use", (void *)item);
        const struct item *next = next_of(item);
        EXPECT(!next || next->count < item->count, "a list was mixed up");
    }
}

/* Takes a list out of a slot, where nothing refers to it any more. */
static struct item *slot_take(size_t slot)
{
    fh_gc_will_store(heap, &slots[slot], NULL);
    return __atomic_exchange_n(&slots[slot], NULL, __ATOMIC_ACQ_REL);
}

static void slot_put(size_t slot, struct item *item)
{
    fh_gc_store(heap, &slots[slot], item);
}

/* The same through plain loads and stores; the loser of a race holds what the winner has, too. */
static struct item *slot_take_plainly(size_t slot)
{
    struct item *item = __atomic_load_n(&slots[slot], __ATOMIC_ACQUIRE);
    slot_put(slot, NULL);
    return item;
}

static void relay(struct random *random)
{
    struct item *held[HELD] = {NULL};
    for (int step = 0; step < steps; step++) {
        size_t h = random_below(random, HELD), slot = random_below(random, SLOTS);
        switch (random_below(random, 8)) {
        case 0:
        case 1: held[h] = slot_take(slot); break;
        case 2: held[h] = slot_take_plainly(slot); break;
        case 3:
        case 4:
            slot_put(slot, held[h]);
            held[h] = NULL;
            break;
        case 5: /* the head's tail is cut off and is only here */
            if (held[h] == NULL || next_of(held[h]) == NULL) break;
            {
                struct item *tail = next_of(held[h]);
                fh_gc_store(heap, &held[h]->next, NULL);
                held[h] = tail;
            }
            break;
        case 6:
            if (!held[h] || held[h]->count < LENGTH) held[h] = item_new(held[h]);
            if (held[(h + 1) % HELD]) fh_gc_store(heap, &held[h]->other, held[(h + 1) % HELD]);
            break;
        default:
            for (int i = 0; i < 20; i++) (void)item_new(NULL);
        }
        item_check(held[random_below(random, HELD)], 8);
        if (random_chance(random, 20000)) fh_gc_collect(heap, FH_GC_FULL);
    }
    for (int h = 0; h < HELD; h++) item_check(held[h], LENGTH + 2);
}

static void *thread_run(void *number)
{
    struct random random = {seed + (uintptr_t)number * 1013};
    EXPECT(fh_gc_thread_attach() == 0, "attach");
    relay(&random);
    return NULL;
}

static void *join(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    return NULL;
}

static size_t number_after(const char *argument, const char *name)
{
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 ? strtoull(argument + length, NULL, 0) : 0;
}

int main(int argc, char **argv)
{
    steps = argc > 1 ? atoi(argv[1]) : 200000;
    seed = random_seed_argument(argc, argv, 2);
    int threads = argc > 3 ? atoi(argv[3]) : 3;
    for (int i = 4; i < argc; i++) {
        options.policy += (uint32_t)number_after(argv[i], "policy=");
        options.debug += (uint32_t)number_after(argv[i], "debug=");
    }
    options.initial = 1 << 20;
    item_type = fh_gc_type_item;
    item_type.flags = FH_GC_PINNED;
    item_type.id = 0;
    EXPECT(fh_gc_type_register(&item_type) == 0, "a type that never moves");
    heap = fh_gc_create(&options);
    EXPECT(heap, "create");
    struct fh_gc_handle *handle = fh_gc_handle_new(heap, fh_gc_new_pointers(heap, SLOTS));
    slots = fh_gc_handle_get(handle);
    pthread_t thread[64];
    for (int i = 1; i < threads; i++)
        pthread_create(&thread[i], NULL, thread_run, (void *)(uintptr_t)i);
    thread_run(NULL);
    for (int i = 1; i < threads; i++) fh_gc_blocking(join, &thread[i]);
    for (int i = 0; i < SLOTS; i++) item_check(slots[i], LENGTH + 2);
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    printf("%lu collections, longest pause %lu us\n", (unsigned long)stats.collections,
           (unsigned long)stats.pauses.max_ns / 1000);
    EXPECT(stats.collections > 3, "only %lu collections", (unsigned long)stats.collections);
    fh_gc_destroy(heap);
    return 0;
}
