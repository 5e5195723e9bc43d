/*
 * Control, facts, and misuse. What could break: a limit is passed, or refused memory ends the program; a
 * collection happens while parked, or never; numbers do not add up; a program's mistake damages the heap
 * instead of being told.
 */
#include "gc/kit.h"

#include <freehold/freehold.h>

#include <pthread.h>
#include <unistd.h>
#include <stdio.h>
#include <stdlib.h>

#include "kit/child.h"

static struct fh_gc_heap *heap;

/* ---- limits --------------------------------------------------------------------------------------------------- */

static int limit_calls;
static bool limit_within;
static struct node *limit_hoard;

static bool limit_passed(struct fh_gc_heap *which, size_t requested, void *data)
{
    assert_ptr_equal(which, heap);
    assert_true(requested > 0);
    assert_true(!limit_within);
    limit_calls++;
    if (limit_hoard) {
        fh_gc_store(heap, &limit_hoard, NULL);
        return fh_gc_collect(heap, FH_GC_FULL) == 0;
    }
    limit_within = true;
    if (data == NULL) assert_null(fh_gc_new_bytes(heap, 8 << 20)); /* and we are not called again */
    limit_within = false;
    if (data == NULL || limit_calls > 50) return false;
    return fh_gc_limit_set(heap, 64 << 20) == 0;
}

static struct node *hoard(size_t most)
{
    struct node *list = NULL;
    for (size_t i = 0; i < most; i++) {
        struct node *node = fh_gc_new(heap, node);
        if (node == NULL) return list;
        fh_gc_store(heap, &node->right, list);
        list = node;
    }
    return list;
}

static void limited(enum fh_gc_policy policy, enum fh_gc_sizing sizing)
{
    struct fh_gc_options options = {.policy = policy,
                                    .sizing = sizing,
                                    .limit = 16 << 20,
                                    .on_limit = limit_passed,
                                    .on_limit_data = NULL};
    limit_calls = 0;
    heap = fh_gc_create(&options);
    errno = 0;
    struct node *list = hoard(1 << 20);
    assert_int_equal(errno, ENOMEM);
    assert_in_range(limit_calls, 1, 50);
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    assert_true(stats.heap_bytes <= 16 << 20);
    assert_true(stats.live_bytes > 12 << 20); /* most of it could be used */
    assert_non_null(list);
    assert_null(fh_gc_new_bytes(heap, 32 << 20));
    assert_int_equal(fh_gc_verify(heap), 0);
    fh_gc_destroy(heap);
}

static void test_control__limit_is_kept(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        limited(policies[p], FH_GC_GROW);
        limited(policies[p], FH_GC_FIXED);
        limited(policies[p], FH_GC_ADAPTIVE);
    }
}

/* On a thread, whose stack keeps nothing afterwards. */
static void *hoard_for_callback(void *unused)
{
    fh_gc_store(heap, &limit_hoard, hoard(300000));
    return unused;
}

static void test_control__callback_makes_room(void **state)
{
    (void)state;
    struct fh_gc_options options = {.limit = 16 << 20, .on_limit = limit_passed};
    heap = fh_gc_create(&options);
    limit_calls = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hoard_for_callback, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(limit_calls, 0);
    struct node *list = hoard(300000); /* room for one of the two only */
    assert_int_equal(limit_calls, 1);
    assert_non_null(list);
    assert_int_equal(fh_gc_limit_set(heap, 1), -EINVAL);
    assert_int_equal(fh_gc_limit_set(heap, 0), 0);
    assert_non_null(fh_gc_new_bytes(heap, 64 << 20));
    fh_gc_destroy(heap);
}

static void test_control__garbage_alone_never_meets_the_limit(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {
            .policy = policies[p], .sizing = FH_GC_FIXED, .limit = 8 << 20};
        heap = fh_gc_create(&options);
        struct node *kept = hoard(60000);
        for (int i = 0; i < 3000000; i++) assert_non_null(fh_gc_new(heap, node));
        for (int i = 0; i < 300; i++) assert_non_null(fh_gc_new_bytes(heap, 1 << 20));
        assert_non_null(kept);
        fh_gc_destroy(heap);
    }
}

/* ---- when ---------------------------------------------------------------------------------------------------------- */

static uint64_t collections(void)
{
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    return stats.collections;
}

static void test_control__parked_heaps_do_not_collect(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p], .initial = 1 << 20};
        heap = fh_gc_create(&options);
        fh_gc_park(heap);
        fh_gc_park(heap);
        for (int i = 0; i < 1000000; i++) (void)fh_gc_new(heap, node);
        assert_int_equal(collections(), 0);
        fh_gc_release(heap);
        collect(heap); /* even though it is parked */
        assert_int_equal(collections(), 1);
        fh_gc_release(heap);
        for (int i = 0; i < 4000000; i++) (void)fh_gc_new(heap, node);
        assert_true(collections() > 1);
        fh_gc_destroy(heap);
    }
}

static void test_control__steps_come_to_an_end(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap = heap_with(policies[p]);
        struct node *list = list_new(heap, 100000);
        collect(heap);
        for (int i = 0; fh_gc_step(heap, 500); i++) assert_true(i < 100000);
        list_check(list, 100000);
        fh_gc_destroy(heap);
    }
}

/* A program with time to spare has the collection before an allocation would. */
static void test_control__steps_collect_what_is_due_soon(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p], .initial = 8 << 20};
        heap = fh_gc_create(&options);
        collect(heap);
        for (int i = 0; i < 3000000; i++) {
            (void)fh_gc_new(heap, node);
            if (i % 1000 == 0) fh_gc_step(heap, 100000);
        }
        struct fh_gc_stats stats;
        fh_gc_stats_get(heap, &stats);
        assert_true(stats.collections > 3);
        assert_true(stats.collections_why[FH_GC_WHY_STEP] > 1);
        if (policies[p] == FH_GC_MARK)
            assert_int_equal(stats.collections_why[FH_GC_WHY_ALLOCATION], 0);
        fh_gc_destroy(heap);
    }
}

static void test_control__clamped_heaps_do_not_collect(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p], .initial = 1 << 20};
        heap = fh_gc_create(&options);
        fh_gc_clamp(heap);
        for (int i = 0; i < 1000000; i++) {
            (void)fh_gc_new(heap, node);
            if (i % 1000 == 0) fh_gc_step(heap, 100);
        }
        assert_int_equal(collections(), 0);
        fh_gc_release(heap);
        for (int i = 0; i < 4000000; i++) (void)fh_gc_new(heap, node);
        assert_true(collections() > 1);
        fh_gc_destroy(heap);
    }
}

static void test_control__external_memory_counts(void **state)
{
    (void)state;
    heap = fh_gc_create(NULL);
    for (int i = 0; i < 100000; i++) {
        (void)fh_gc_new(heap, node);
        fh_gc_external(heap, 1 << 12);
    }
    assert_true(collections() > 3);
    fh_gc_destroy(heap);
}

static void test_control__several_heaps(void **state)
{
    (void)state;
    struct fh_gc_heap *heaps[FH_GC_HEAPS];
    struct node *lists[FH_GC_HEAPS];
    for (size_t h = 0; h < FH_GC_HEAPS; h++) {
        heaps[h] = heap_with(policies[h % COUNT_OF(policies)]);
        lists[h] = list_new(heaps[h], 2000);
    }
    assert_null(fh_gc_create(NULL));
    assert_int_equal(errno, ENOSPC);
    /* A reference across heaps keeps nothing, and hurts nobody. */
    fh_gc_store(heaps[0], &lists[0]->left, lists[1]);
    for (int round = 0; round < 3; round++)
        for (size_t h = 0; h < FH_GC_HEAPS; h++) collect(heaps[h]);
    for (size_t h = 0; h < FH_GC_HEAPS; h++) {
        list_check(lists[h], 2000);
        assert_null(fh_gc_base(heaps[h], lists[(h + 1) % FH_GC_HEAPS]));
        fh_gc_destroy(heaps[h]);
    }
}

/* ---- through ephemerons ---------------------------------------------------------------------------------------- */

enum { THROUGH = 100, BY_CHANCE = 30 };

static struct fh_gc_ephemeron *dead_way[THROUGH], *way[THROUGH];
static struct node *way_key[THROUGH];
static uintptr_t value_hidden[THROUGH];

/* Two ephemerons lead to each value, of which one has a key that nothing keeps. */
static __attribute__((noinline)) void through_make(void)
{
    for (uint64_t i = 0; i < THROUGH; i++) {
        struct node *key = node_new(heap, 1), *value = node_new(heap, i);
        value_hidden[i] = ~(uintptr_t)value;
        fh_gc_store(heap, &way_key[i], key);
        fh_gc_store(heap, &dead_way[i], fh_gc_ephemeron_new(heap, node_new(heap, 4), value));
        fh_gc_store(heap, &way[i], fh_gc_ephemeron_new(heap, key, value));
    }
}

static bool edge_note(void *from, void *to, void *data)
{
    (void)from;
    *(void **)data = to;
    return true;
}

/* A reference that is left on the stack is found first, if there is one. */
static __attribute__((noinline)) int through_count(void)
{
    char text[500], last[60];
    int found = 0;
    for (int i = 0; i < THROUGH; i++) {
        assert_true(fh_gc_why_alive(heap, (void *)~value_hidden[i], text, sizeof text) > 0);
        snprintf(last, sizeof last, "%p", (void *)way[i]);
        found += strstr(text, last) != NULL;
    }
    return found;
}

static __attribute__((noinline)) void *through_transform(struct node *to_be)
{
    void **from = malloc(sizeof *from), **to = malloc(sizeof *to);
    int result = -EBUSY;
    for (int i = 0; i < THROUGH && result == -EBUSY; i++) {
        *from = (void *)~value_hidden[i];
        *to = to_be;
        stack_clear();
        result = fh_gc_transform(heap, from, to, 1);
        if (result == 0) from[0] = way[i];
    }
    assert_int_equal(result, 0);
    void *ephemeron = from[0];
    free(from);
    free(to);
    return ephemeron;
}

static void test_control__ephemerons_are_looked_through(void **state)
{
    (void)state;
    void *value = NULL;
    heap = heap_with(FH_GC_MARK);
    through_make();
    collect(heap);
    assert_in_range(through_count(), THROUGH - BY_CHANCE, THROUGH);
    assert_int_equal(fh_gc_walk_references(heap, way[7], edge_note, &value), 0);
    assert_int_equal(((struct node *)value)->value, 7);
    struct node *other = node_new(heap, 12345);
    assert_ptr_equal(fh_gc_ephemeron_value(heap, through_transform(other)), other);
    fh_gc_destroy(heap);
}

/* ---- transform, walks, why -------------------------------------------------------------------------------------------- */

static struct node **table;

static __attribute__((noinline)) void **transform_fill(void **to)
{
    void **from = calloc(10, sizeof *from);
    for (uint64_t i = 0; i < 10; i++) {
        fh_gc_store(heap, &table[i], node_new(heap, i));
        fh_gc_store(heap, &table[10 + i], table[i]);
        from[i] = table[i];
        to[i] = node_new(heap, 100 + i);
    }
    return from;
}

static void test_control__transform_replaces_references(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap = heap_with(policies[p]);
        fh_gc_store(heap, &table, (struct node **)fh_gc_new_pointers(heap, 20));
        void **to = calloc(10, sizeof *to), **from = transform_fill(to);
        fh_gc_root_range(heap, to, 10 * sizeof *to);
        int result = -EBUSY;
        for (int i = 0; i < 10 && result == -EBUSY; i++) {
            stack_clear();
            result = fh_gc_transform(heap, from, to, 9);
        }
        assert_int_equal(result, 0);
        for (uint64_t i = 0; i < 9; i++) {
            assert_int_equal(table[i]->value, 100 + i);
            assert_ptr_equal(table[10 + i], table[i]);
        }
        struct node *held = from[9];
        assert_int_equal(fh_gc_transform(heap, from + 9, to + 9, 1), -EBUSY);
        assert_int_equal(held->value, 9);
        collect(heap);
        assert_int_equal(table[3]->value, 103);
        from[0] = &heap;
        assert_int_equal(fh_gc_transform(heap, from, to, 1), -EINVAL);
        fh_gc_store(heap, &table, NULL);
        fh_gc_destroy(heap);
        free(from);
        free(to);
    }
}

static bool walk_count(void *object, size_t size, const struct fh_gc_type *type, void *data)
{
    uint64_t *counts = data;
    assert_true(size >= 16 && object);
    counts[strcmp(type->name, "node") == 0]++;
    return counts[1] < 1000;
}

static bool edge_count(void *from, void *to, void *data)
{
    assert_non_null(from);
    assert_non_null(to);
    ++*(int *)data;
    return true;
}

static void test_control__walks(void **state)
{
    (void)state;
    heap = heap_with(FH_GC_MARK);
    struct node *list = list_new(heap, 500);
    uint64_t counts[2] = {0, 0};
    assert_int_equal(fh_gc_walk(heap, walk_count, counts), 0);
    assert_int_equal(counts[1], 500);
    int edges = 0;
    assert_int_equal(fh_gc_walk_references(heap, list, edge_count, &edges), 0);
    assert_int_equal(edges, 1);
    assert_int_equal(fh_gc_walk_references(heap, &edges, edge_count, &edges), -EINVAL);
    edges = 0;
    assert_int_equal(fh_gc_walk_roots(heap, edge_count, &edges), 0);
    assert_true(edges >= 1);
    (void)list_new(heap, 2000);
    counts[1] = 0;
    fh_gc_walk(heap, walk_count, counts);
    assert_int_equal(counts[1], 1000); /* it was told to stop */
    fh_gc_destroy(heap);
}

static void test_control__why_alive(void **state)
{
    (void)state;
    heap = heap_with(FH_GC_MARK);
    char text[4096];
    fh_gc_store(heap, &limit_hoard, list_new(heap, 5));
    struct node *last = limit_hoard;
    while (last->right) last = last->right;
    assert_true(fh_gc_why_alive(heap, last, text, sizeof text) > 0);
    assert_non_null(strstr(text, " -> node at "));
    assert_int_equal(fh_gc_why_alive(heap, text, text, sizeof text), 0);
    fh_gc_store(heap, &limit_hoard, NULL);
    fh_gc_destroy(heap);
}

/* ---- facts --------------------------------------------------------------------------------------------------------------- */

static unsigned events[32];

static void listener(const struct fh_gc_event *event, void *data)
{
    assert_ptr_equal(data, events);
    assert_in_range(event->kind, 1, 31);
    events[event->kind]++;
}

static void test_control__numbers_and_events(void **state)
{
    (void)state;
    heap = heap_with(FH_GC_MARK);
    memset(events, 0, sizeof events);
    fh_gc_listen(heap, listener, events);
    struct node *list = list_new(heap, 10000);
    for (int i = 0; i < 5; i++) collect(heap);
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    assert_int_equal(stats.collections, 5);
    assert_int_equal(stats.last_why, FH_GC_WHY_CALL);
    assert_in_range(stats.live_bytes, 320000, 340000);
    assert_in_range(stats.allocated_bytes, 320000, 400000);
    assert_true(stats.pauses.count >= 5);
    assert_true(fh_gc_pauses_quantile(&stats.pauses, 5000) <= stats.pauses.max_ns);
    assert_int_equal(fh_gc_pauses_quantile(&stats.pauses, 10000), stats.pauses.max_ns);
    assert_int_equal(events[FH_GC_EVENT_START], 5);
    assert_int_equal(events[FH_GC_EVENT_END], 5);
    assert_int_equal(events[FH_GC_EVENT_MARKED], 5);
    char text[4096], cut[10];
    size_t length = fh_gc_stats_json(heap, text, sizeof text);
    assert_int_equal(strlen(text), length);
    assert_non_null(strstr(text, "\"collections\":5,"));
    assert_int_equal(text[length - 1], '}');
    assert_int_equal(fh_gc_stats_json(heap, cut, sizeof cut), length);
    assert_int_equal(strlen(cut), sizeof cut - 1);
    fh_gc_stats_reset(heap);
    fh_gc_stats_get(heap, &stats);
    assert_int_equal(stats.pauses.count, 0);
    list_check(list, 10000);
    fh_gc_destroy(heap);
}

static void test_control__quantiles_of_known_pauses(void **state)
{
    (void)state;
    struct fh_gc_pauses none = {0};
    assert_int_equal(fh_gc_pauses_quantile(&none, 5000), 0);
}

/* Heaps that are made while they hold have them, whatever the program asks for. */
static void test_control__options_of_the_environment(void **state)
{
    (void)state;
    struct fh_gc_stats stats;
    assert_int_equal(fh_option_set("gc_debug", "fence"), 0);
    assert_int_equal(fh_option_set("gc_stress", "10"), 0);
    heap = fh_gc_create(NULL);
    assert_int_equal(fh_option_set("gc_debug", "0"), 0);
    assert_int_equal(fh_option_set("gc_stress", "0"), 0);
    volatile char *p = fh_gc_new_bytes(heap, 3);
    for (int i = 0; i < 99; i++) assert_non_null(fh_gc_new_bytes(heap, 3));
    fh_gc_stats_get(heap, &stats);
    assert_int_equal(stats.collections_why[FH_GC_WHY_STRESS], 10);
    assert_int_equal(fh_gc_size(heap, (void *)p), 3);
    p[3] = 1;
    assert_int_equal(fh_gc_verify(heap), -EINVAL);
    p[3] = 0;
    fh_gc_destroy(heap);
    heap = fh_gc_create(NULL);
    assert_int_equal(fh_gc_size(heap, fh_gc_new_bytes(heap, 3)), 16);
    fh_gc_destroy(heap);
}

/* ---- misuse ------------------------------------------------------------------------------------------------------------------ */

static const struct fh_gc_field outside[] = {{24, 1}}, misaligned[] = {{4, 1}}, wide[] = {{8, 3}};

static void test_misuse__wrong_types_are_refused(void **state)
{
    (void)state;
    heap = heap_with(FH_GC_MARK);
    struct fh_gc_type types[] = {
        {.name = "outside", .size = 24, .fields = outside, .field_count = 1},
        {.name = "misaligned", .size = 24, .fields = misaligned, .field_count = 1},
        {.name = "wide", .size = 24, .fields = wide, .field_count = 1},
        {.name = "empty"},
        {.name = "unnamed fields", .size = 24, .field_count = 2},
        {.name = "elements",
         .size = 4,
         .element = 8,
         .element_fields = outside + 0,
         .element_field_count = 1},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        assert_int_equal(fh_gc_type_register(&types[i]), -EINVAL);
        assert_null(fh_gc_allocate(heap, &types[i], 64));
        assert_int_equal(errno, EINVAL);
    }
    fh_gc_destroy(heap);
}

static void test_misuse__more_types_than_there_are_numbers(void **state)
{
    (void)state;
    static struct fh_gc_type types[1200], small[40];
    static char names[1240][16];
    static const struct fh_gc_field field[] = {{0, 1}};
    heap = heap_with(FH_GC_MARK);
    struct node **last = NULL;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        snprintf(names[i], sizeof names[i], "t%zu", i);
        types[i] =
            (struct fh_gc_type){.name = names[i], .size = 40, .fields = field, .field_count = 1};
        struct node **object = fh_gc_allocate(heap, &types[i], 40);
        assert_non_null(object);
        *object = (struct node *)last;
        last = object;
    }
    for (size_t i = 0; i < COUNT_OF(small); i++) {
        snprintf(names[1200 + i], sizeof names[0], "s%zu", i);
        small[i] = (struct fh_gc_type){
            .name = names[1200 + i], .size = 8, .fields = field, .field_count = 1};
        struct node **object = fh_gc_allocate(heap, &small[i], 8);
        *object = (struct node *)last;
        last = object;
    }
    collect(heap);
    size_t length = 0;
    for (struct node **at = last; at; at = (struct node **)*at) length++;
    assert_int_equal(length, COUNT_OF(types) + COUNT_OF(small));
    fh_gc_destroy(heap);
}

static void test_misuse__absurd_options(void **state)
{
    (void)state;
    struct fh_gc_options wrong[] = {
        {.policy = 7},
        {.sizing = 9},
        {.sizing = FH_GC_FIXED},
        {.limit = 100},
        {.growth_percent = 1000000},
        {.debug = 1u << 20},
        {.exact_stacks = true, .policy = FH_GC_CONCURRENT},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        errno = 0;
        assert_null(fh_gc_create(&wrong[i]));
        assert_int_equal(errno, EINVAL);
    }
    fh_gc_destroy(NULL);
}

static void handle_twice(void *unused)
{
    (void)unused;
    heap = fh_gc_create(NULL);
    struct fh_gc_handle *handle = fh_gc_handle_new(heap, NULL);
    fh_gc_handle_free(handle);
    fh_gc_handle_free(handle);
}

static void heap_twice(void *unused)
{
    (void)unused;
    heap = fh_gc_create(NULL);
    fh_gc_destroy(heap);
    fh_gc_destroy(heap);
}

static void allocate_in_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    (void)object;
    (void)size;
    (void)visitor;
    (void)fh_gc_new_bytes(heap, 100000);
}
struct nosy {
    uint64_t word[2];
};
FH_GC_TRACED(nosy, struct nosy, allocate_in_trace)

static void trace_allocates(void *unused)
{
    (void)unused;
    struct fh_gc_options options = {.markers = 1};
    heap = fh_gc_create(&options);
    struct nosy *volatile nosy = fh_gc_new(heap, nosy);
    fh_gc_collect(heap, FH_GC_FULL);
    (void)nosy;
}

static bool walk_collects(void *object, size_t size, const struct fh_gc_type *type, void *unused)
{
    (void)object;
    (void)size;
    (void)type;
    (void)unused;
    fh_gc_collect(heap, FH_GC_FULL);
    return true;
}

static void collects_in_walk(void *unused)
{
    (void)unused;
    heap = fh_gc_create(NULL);
    struct node *node = node_new(heap, 1);
    alarm(20);
    fh_gc_walk(heap, walk_collects, NULL);
    node->value = 2;
}

static void stale_store(void *unused)
{
    (void)unused;
    struct fh_gc_options options = {.debug = FH_GC_VERIFY};
    heap = fh_gc_create(&options);
    struct node *volatile node = node_new(heap, 1);
    uintptr_t *slot = (uintptr_t *)&node->left;
    struct node *volatile other = node_new(heap, 1);
    *slot = (uintptr_t)other + 8 * 4096; /* no object is there */
    fh_gc_collect(heap, FH_GC_FULL);
    (void)node;
}

static void blocked_allocates_body(void)
{
    fh_gc_blocking_begin();
    (void)fh_gc_new_bytes(heap, 100);
    fh_gc_blocking_end();
}

static void blocked_allocates(void *unused)
{
    (void)unused;
    heap = fh_gc_create(NULL);
    blocked_allocates_body();
}

static void detached_allocates(void *unused)
{
    (void)unused;
    heap = fh_gc_create(NULL);
    fh_gc_thread_detach();
    (void)fh_gc_new_bytes(heap, 100);
}

static void detached_stores(void *policy)
{
    static struct node *slot;
    struct fh_gc_options options = {.policy = *(enum fh_gc_policy *)policy};
    heap = fh_gc_create(&options);
    struct node *node = node_new(heap, 1);
    fh_gc_thread_detach();
    fh_gc_store(heap, &slot, node);
}

static void test_misuse__detached_thread_stores(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        enum fh_gc_policy policy = policies[p];
        struct child_end end = child_run(detached_stores, &policy);
        assert_int_equal(end.signal, SIGABRT);
        assert_non_null(strstr(end.said, "freehold: gc: a detached thread uses a heap"));
    }
}

static void test_misuse__ends_in_a_clear_line(void **state)
{
    (void)state;
    static const struct {
        void (*body)(void *);
        const char *line;
    } misuse[] = {
        {handle_twice, "a handle is freed twice"},
        {heap_twice, "a heap is destroyed twice"},
        {trace_allocates, "while objects are traced"},
        {collects_in_walk, "while objects are traced or walked"},
        {stale_store, "refers to memory that was freed"},
        {blocked_allocates, "inside fh_gc_blocking"},
        {detached_allocates, "a detached thread uses a heap"},
    };
    for (size_t i = 0; i < COUNT_OF(misuse); i++) {
        struct child_end end = child_run(misuse[i].body, NULL);
        assert_int_equal(end.signal, SIGABRT);
        assert_non_null(strstr(end.said, misuse[i].line));
        assert_non_null(strstr(end.said, "freehold: gc: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse__ends_in_a_clear_line),
        cmocka_unit_test(test_misuse__detached_thread_stores),
        cmocka_unit_test(test_control__limit_is_kept),
        cmocka_unit_test(test_control__callback_makes_room),
        cmocka_unit_test(test_control__garbage_alone_never_meets_the_limit),
        cmocka_unit_test(test_control__parked_heaps_do_not_collect),
        cmocka_unit_test(test_control__steps_come_to_an_end),
        cmocka_unit_test(test_control__steps_collect_what_is_due_soon),
        cmocka_unit_test(test_control__clamped_heaps_do_not_collect),
        cmocka_unit_test(test_control__external_memory_counts),
        cmocka_unit_test(test_control__several_heaps),
        cmocka_unit_test(test_control__transform_replaces_references),
        cmocka_unit_test(test_control__walks),
        cmocka_unit_test(test_control__why_alive),
        cmocka_unit_test(test_control__ephemerons_are_looked_through),
        cmocka_unit_test(test_control__numbers_and_events),
        cmocka_unit_test(test_control__quantiles_of_known_pauses),
        cmocka_unit_test(test_control__options_of_the_environment),
        cmocka_unit_test(test_misuse__wrong_types_are_refused),
        cmocka_unit_test(test_misuse__absurd_options),
        cmocka_unit_test(test_misuse__more_types_than_there_are_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
