/*
 * Random programs on a graph of objects (gc/world.h). What could break: an object that can be reached is
 * freed, moved or changed; one that cannot is kept; a weak reference, an ephemeron or a finalizer acts too
 * early, or never.
 *
 *      model_test STEPS SEED THREADS policy=N debug=N stress=N limit=BYTES watch=WAYS
 *
 * With one thread stacks are exact (but under FH_GC_CONCURRENT), and after each full collection the heap
 * must hold exactly the objects that the model can reach. With more each thread has a graph of its own in
 * a common heap, and stacks are searched: nothing may be missing, and little may be left over.
 */
#include <freehold/gc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gc/world.h"
#include "kit/expect.h"
#include "kit/random.h"
#include "os/watch.h"

static struct fh_gc_options options;
static int steps;
static uint64_t seed;

static struct world *world_lead(uintptr_t number)
{
    struct world *world = world_create(seed + number * 77);
    for (int i = 0; i < steps; i++) world_step(world);
    return world;
}

static void world_end(struct world *world)
{
    world_check(world);
    world_destroy(world);
}

static void *world_run(void *argument)
{
    world_end(world_lead((uintptr_t)argument));
    return NULL;
}

static size_t number_after(const char *argument, const char *name)
{
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 ? strtoull(argument + length, NULL, 0) : 0;
}

static void *join(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    steps = argc > 1 ? atoi(argv[1]) : 20000;
    seed = random_seed_argument(argc, argv, 2);
    int threads = argc > 3 ? atoi(argv[3]) : 1;
    unsigned ways = 0;
    for (int i = 4; i < argc; i++) {
        options.policy += (uint32_t)number_after(argv[i], "policy=");
        options.debug += (uint32_t)number_after(argv[i], "debug=");
        options.stress += (uint32_t)number_after(argv[i], "stress=");
        options.limit += number_after(argv[i], "limit=");
        options.markers += (uint32_t)number_after(argv[i], "markers=");
        options.sizing += (uint32_t)number_after(argv[i], "sizing=");
        ways += (unsigned)number_after(argv[i], "watch=");
    }
    if (ways) os_watch_allow(ways);
    bool alone = threads == 1, exact = alone && options.policy < FH_GC_CONCURRENT;
    options.exact_stacks = options.no_static_data = exact;
    options.initial = 1 << 20;
    /* Under FH_GC_CONCURRENT only FH_GC_COMPACT moves objects. */
    bool compacts = options.debug & FH_GC_MOVE_ALL && options.policy >= FH_GC_CONCURRENT;
    struct fh_gc_heap *heap = fh_gc_create(&options);
    EXPECT(heap, "create");
    world_begin(heap, (struct world_rules){.exact = exact, .alone = alone, .compacts = compacts});
    pthread_t thread[64];
    for (int i = 1; i < threads; i++)
        pthread_create(&thread[i], NULL, world_run, (void *)(uintptr_t)i);
    struct world *world = world_lead(0);
    for (int i = 1; i < threads; i++) fh_gc_blocking(join, &thread[i]);
    /* The last check is made alone: other threads might hold all blocks, or take the room that a compaction needs. */
    world_end(world);
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    printf("%lu collections, %lu minor, %lu MiB allocated, %lu KiB moved\n",
           (unsigned long)stats.collections, (unsigned long)stats.minor_collections,
           (unsigned long)stats.allocated_bytes >> 20, (unsigned long)stats.evacuated_bytes >> 10);
    if (options.debug & FH_GC_MOVE_ALL) EXPECT(stats.evacuated_bytes > 0, "nothing has moved");
    EXPECT(fh_gc_verify(heap) == 0, "verify");
    fh_gc_destroy(heap);
    return 0;
}
