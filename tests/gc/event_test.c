/*
 * Events, and why collections happened. What could break: a phase says nothing, or the wrong collection's
 * number; a heap is told of another's events, or of those of a heap that had its place before; events that
 * were overwritten are passed over in silence.
 */
#include "gc/kit.h"

#include <freehold/registry.h>

static struct fh_gc_heap *heap;
static struct fh_gc_event seen[FH_EVENTS + 100];

static size_t read_all(uint64_t *position)
{
    size_t count = fh_gc_events(heap, seen, COUNT_OF(seen), position);
    assert_true(count < COUNT_OF(seen));
    return count;
}

static size_t count_of(size_t count, enum fh_gc_event_kind kind)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) found += seen[i].kind == kind;
    return found;
}

static const struct fh_gc_event *first_of(size_t count, enum fh_gc_event_kind kind)
{
    for (size_t i = 0; i < count; i++)
        if (seen[i].kind == kind) return &seen[i];
    fail_msg("no event of kind %d", kind);
    return NULL;
}

/* ---- a collection ------------------------------------------------------------------------------------------- */

static void phases_check(enum fh_gc_policy policy, uint32_t number, size_t count)
{
    static const enum fh_gc_event_kind stopped[] = {
        FH_GC_EVENT_START,  FH_GC_EVENT_STOPPED, FH_GC_EVENT_ROOTS, FH_GC_EVENT_WEAK,
        FH_GC_EVENT_MARKED, FH_GC_EVENT_RESUMED, FH_GC_EVENT_END,
    };
    static const enum fh_gc_event_kind concurrent[] = {
        FH_GC_EVENT_START,  FH_GC_EVENT_ROOTS, FH_GC_EVENT_WEAK,
        FH_GC_EVENT_MARKED, FH_GC_EVENT_END,   FH_GC_EVENT_SWEPT,
    };
    bool stops = policy != FH_GC_CONCURRENT;
    const enum fh_gc_event_kind *expected = stops ? stopped : concurrent;
    size_t most = stops ? COUNT_OF(stopped) : COUNT_OF(concurrent), at = 0;
    uint64_t time = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(seen[i].time_ns >= time);
        time = seen[i].time_ns;
        if (at < most && seen[i].kind == expected[at]) at++;
        if (at > 0 && at < most) assert_int_equal(seen[i].collection, number);
    }
    assert_int_equal(at, most);
    assert_int_equal(first_of(count, FH_GC_EVENT_START)->detail, FH_GC_WHY_CALL);
    assert_int_equal(first_of(count, FH_GC_EVENT_END)->detail, FH_GC_FULL);
}

/* The last event of a cycle comes after the call that waited for it has returned. */
static size_t read_cycle(enum fh_gc_policy policy, uint64_t *position)
{
    size_t count = read_all(position);
    while (policy == FH_GC_CONCURRENT && !count_of(count, FH_GC_EVENT_SWEPT))
        count += fh_gc_events(heap, seen + count, COUNT_OF(seen) - count, position);
    return count;
}

static void test_event__each_phase_in_order(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        uint64_t position = 0;
        heap = heap_with(policies[p]);
        struct node *list = list_new(heap, 5000);
        assert_int_equal(count_of(read_all(&position), FH_GC_EVENT_START), 0);
        for (uint32_t number = 1; number < 4; number++) {
            collect(heap);
            phases_check(policies[p], number, read_cycle(policies[p], &position));
        }
        list_check(list, 5000);
        fh_gc_destroy(heap);
    }
}

static void test_event__handshakes_say_what_for(void **state)
{
    (void)state;
    uint64_t position = 0;
    bool kinds[5] = {false};
    struct fh_gc_stats stats;
    heap = heap_with(FH_GC_CONCURRENT);
    collect(heap);
    size_t count = read_cycle(FH_GC_CONCURRENT, &position);
    for (size_t i = 0; i < count; i++) {
        if (seen[i].kind != FH_GC_EVENT_HANDSHAKE) continue;
        assert_in_range(seen[i].detail, FH_GC_HANDSHAKE_ARM, FH_GC_HANDSHAKE_FLUSH);
        kinds[seen[i].detail] = true;
    }
    for (size_t k = FH_GC_HANDSHAKE_ARM; k <= FH_GC_HANDSHAKE_FLUSH; k++) assert_true(kinds[k]);
    fh_gc_stats_get(heap, &stats);
    assert_int_equal(count_of(count, FH_GC_EVENT_HANDSHAKE), stats.handshakes);
    fh_gc_destroy(heap);
}

static void finalize(void *object, void *data)
{
    (void)object;
    (void)data;
}

static __attribute__((noinline)) void weak_things(void)
{
    for (uintptr_t i = 0; i < 7; i++) {
        struct node *node = node_new(heap, i);
        if (i < 5) assert_non_null(fh_gc_handle_new(heap, fh_gc_weak_new(heap, node)));
        if (i >= 3) assert_int_equal(fh_gc_finalizer_add(heap, node, finalize, NULL, 0), 0);
    }
}

/* With exact stacks, so that none is kept by chance. */
static void test_event__weakness_is_counted(void **state)
{
    (void)state;
    uint64_t position = 0;
    struct fh_gc_options options = {.exact_stacks = true, .no_static_data = true};
    heap = fh_gc_create(&options);
    weak_things();
    collect(heap);
    size_t count = read_all(&position);
    assert_int_equal(first_of(count, FH_GC_EVENT_WEAK)->value, 5);
    assert_int_equal(first_of(count, FH_GC_EVENT_FINALIZERS)->value, 4);
    assert_int_equal(fh_gc_finalize(heap, 0), 4);
    collect(heap);
    count = read_all(&position);
    assert_int_equal(first_of(count, FH_GC_EVENT_WEAK)->value, 0);
    assert_int_equal(count_of(count, FH_GC_EVENT_FINALIZERS), 0);
    fh_gc_destroy(heap);
}

/* ---- at any time -------------------------------------------------------------------------------------------- */

static void *root;

static void test_event__grown_shrunk_swept_refused(void **state)
{
    (void)state;
    uint64_t position = 0;
    struct fh_gc_stats stats;
    struct fh_gc_options options = {
        .initial = 1 << 20, .limit = 64 << 20, .exact_stacks = true, .no_static_data = true};
    heap = fh_gc_create(&options);
    assert_int_equal(fh_gc_root_add(heap, &root, 1), 0);
    for (int i = 0; i < 200000; i++) {
        struct node *node = node_new(heap, 1);
        fh_gc_store(heap, &node->right, root);
        fh_gc_store(heap, &root, (void *)node);
    }
    size_t count = read_all(&position);
    fh_gc_stats_get(heap, &stats);
    assert_true(count_of(count, FH_GC_EVENT_GROW) > 0);
    root = NULL;
    collect(heap);
    fh_gc_collect(heap, FH_GC_COMPACT);
    count = read_all(&position);
    fh_gc_stats_get(heap, &stats);
    assert_true(first_of(count, FH_GC_EVENT_SWEPT)->value > 5 << 20);
    uint64_t after = 0;
    for (size_t i = 0; i < count; i++)
        if (seen[i].kind == FH_GC_EVENT_SHRINK) after = seen[i].value;
    assert_int_equal(after, stats.heap_bytes);
    assert_null(fh_gc_new_bytes(heap, 65 << 20));
    count = read_all(&position);
    assert_int_equal(first_of(count, FH_GC_EVENT_REFUSED)->value, 65 << 20);
    fh_gc_destroy(heap);
}

static void why_expect(enum fh_gc_why why)
{
    struct fh_gc_stats stats;
    uint64_t total = 0, position = 0;
    fh_gc_stats_get(heap, &stats);
    for (size_t i = 0; i < FH_GC_WHYS; i++) total += stats.collections_why[i];
    assert_int_equal(total, stats.collections);
    assert_true(stats.collections_why[why] > 0);
    assert_int_equal(stats.last_why, why);
    size_t count = read_all(&position), found = 0;
    for (size_t i = 0; i < count; i++)
        found += seen[i].kind == FH_GC_EVENT_START && seen[i].detail == why;
    assert_int_equal(found, stats.collections_why[why]);
    fh_gc_destroy(heap);
}

static void test_event__why(void **state)
{
    (void)state;
    struct fh_gc_options options = {.initial = 1 << 20};
    heap = fh_gc_create(&options);
    for (int i = 0; i < 100000; i++) node_new(heap, 1);
    why_expect(FH_GC_WHY_ALLOCATION);
    options.stress = 100;
    heap = fh_gc_create(&options);
    for (int i = 0; i < 1000; i++) node_new(heap, 1);
    why_expect(FH_GC_WHY_STRESS);
    options = (struct fh_gc_options){.sizing = FH_GC_FIXED, .limit = 1 << 20};
    heap = fh_gc_create(&options);
    for (int i = 0; i < 100000; i++) node_new(heap, 1);
    why_expect(FH_GC_WHY_LIMIT);
    heap = fh_gc_create(NULL);
    for (int i = 0; i < 3000; i++) {
        node_new(heap, 1);
        fh_gc_external(heap, 1 << 20);
    }
    why_expect(FH_GC_WHY_EXTERNAL);
    heap = fh_gc_create(NULL);
    collect(heap);
    why_expect(FH_GC_WHY_CALL);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static void test_event__positions(void **state)
{
    (void)state;
    uint64_t position = 0, behind = 0;
    heap = fh_gc_create(NULL);
    collect(heap);
    size_t count = read_all(&position), one = 0;
    assert_true(count >= 7);
    assert_int_equal(read_all(&position), 0);
    struct fh_gc_event first = seen[0], event;
    position = 0;
    while (fh_gc_events(heap, &event, 1, &position) == 1) {
        if (one == 0) assert_memory_equal(&event, &first, sizeof event);
        one++;
    }
    assert_int_equal(one, count);
    assert_int_equal(fh_gc_events(heap, NULL, 0, &behind), 0);
    assert_int_equal(behind, position);
    fh_gc_destroy(heap);
}

static void test_event__of_this_heap_only(void **state)
{
    (void)state;
    uint64_t position = 0;
    heap = fh_gc_create(NULL);
    struct fh_gc_heap *other = fh_gc_create(NULL);
    for (int i = 0; i < 3; i++) collect(other);
    assert_int_equal(read_all(&position), 0);
    collect(heap);
    position = 0;
    assert_int_equal(count_of(read_all(&position), FH_GC_EVENT_START), 1);
    fh_gc_destroy(heap);
    heap = fh_gc_create(NULL); /* in the same place */
    position = 0;
    assert_int_equal(read_all(&position), 0);
    fh_gc_destroy(heap);
    fh_gc_destroy(other);
}

static void test_event__lost_ones_are_counted(void **state)
{
    (void)state;
    uint64_t position = 0, start;
    struct fh_gc_event event;
    heap = fh_gc_create(NULL);
    fh_gc_events(heap, NULL, 0, &position);
    start = position;
    for (int i = 0; i < 1000; i++) collect(heap);
    size_t count = fh_gc_events(heap, seen, COUNT_OF(seen), &position);
    assert_int_equal(count, FH_EVENTS + 1);
    assert_int_equal(seen[0].kind, FH_GC_EVENT_LOST);
    assert_int_equal(seen[0].value, position - start - FH_EVENTS);
    assert_int_equal(count_of(count, FH_GC_EVENT_LOST), 1);
    /* The same where there is room for one. */
    uint64_t lost = seen[0].value;
    position = start;
    assert_int_equal(fh_gc_events(heap, &event, 1, &position), 1);
    assert_int_equal(event.kind, FH_GC_EVENT_LOST);
    assert_int_equal(event.value, lost);
    assert_int_equal(fh_gc_events(heap, &event, 1, &position), 1);
    assert_memory_equal(&event, &seen[1], sizeof event);
    fh_gc_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event__each_phase_in_order),
        cmocka_unit_test(test_event__handshakes_say_what_for),
        cmocka_unit_test(test_event__weakness_is_counted),
        cmocka_unit_test(test_event__grown_shrunk_swept_refused),
        cmocka_unit_test(test_event__why),
        cmocka_unit_test(test_event__positions),
        cmocka_unit_test(test_event__of_this_heap_only),
        cmocka_unit_test(test_event__lost_ones_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
