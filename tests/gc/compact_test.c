/*
 * Objects that move. What could break: a reference of some kind does not follow; something that a program
 * holds where it cannot be changed moves; a table or an index still goes by old addresses; an old object
 * that moved is not looked at by the next minor collection; a sparse heap stays as large as it was.
 */
#include "gc/kit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

struct all {
    uint64_t value;
    struct node *field;
    char *inside;     /* a byte within it */
    uintptr_t tagged; /* with 5 in the low bits */
    struct node **many;
    struct fh_gc_weak *weak;
    struct fh_gc_ephemeron *ephemeron;
    struct fh_gc_table *table;
    char *leaf; /* links lie in it */
};

static void all_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    struct all *all = object;
    (void)size;
    fh_gc_visit(visitor, &all->field);
    fh_gc_visit(visitor, &all->inside);
    fh_gc_visit_tagged(visitor, &all->tagged, ~(uintptr_t)7);
    fh_gc_visit(visitor, &all->many);
    fh_gc_visit(visitor, &all->weak);
    fh_gc_visit(visitor, &all->ephemeron);
    fh_gc_visit(visitor, &all->table);
    fh_gc_visit(visitor, &all->leaf);
}
FH_GC_TRACED(all, struct all, all_trace)

static struct fh_gc_type stone = {.name = "stone", .size = 64, .flags = FH_GC_LEAF | FH_GC_PINNED};

static struct fh_gc_heap *heap;
static const enum fh_gc_policy stopping[] = {FH_GC_MARK, FH_GC_GENERATIONAL};

/* Everything that is not pinned moves, since nothing but what is exact is looked at. */
static void heap_exact(enum fh_gc_policy policy)
{
    struct fh_gc_options options = {.policy = policy,
                                    .exact_stacks = true,
                                    .no_static_data = true,
                                    .debug = FH_GC_VERIFY | FH_GC_POISON | FH_GC_MOVE_ALL};
    assert_non_null(heap = fh_gc_create(&options));
}

static struct fh_gc_stats stats_now(void)
{
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    return stats;
}

/* ---- a store that was announced ------------------------------------------------------------------------------ */

static uintptr_t tagged_slot, tagged_value;

/* The value is kept where nobody looks, as in a register with its tag. */
static __attribute__((noinline)) void announce(void)
{
    struct node *node = NULL; /* not the first of its block, whose address the arena may hold */
    for (int i = 0; i < 5; i++) node = node_new(heap, 77);
    tagged_value = ~(uintptr_t)node;
    fh_gc_will_store(heap, &tagged_slot, node);
}

static void *thread_collects(void *unused)
{
    for (int i = 0; i < 2; i++) fh_gc_collect(heap, FH_GC_FULL);
    return unused;
}

static __attribute__((noinline)) void announced_check(void)
{
    const struct node *node = (struct node *)~tagged_value;
    assert_ptr_equal(fh_gc_base(heap, node), node);
    assert_int_equal(node->value, 77);
}

static void test_compact__an_announced_store_is_kept(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        pthread_t thread;
        struct fh_gc_options options = {.policy = policies[p],
                                        .debug = FH_GC_VERIFY | FH_GC_POISON | FH_GC_MOVE_ALL};
        assert_non_null(heap = fh_gc_create(&options));
        announce();
        stack_clear();
        assert_int_equal(pthread_create(&thread, NULL, thread_collects, NULL), 0);
        pthread_join(thread, NULL);
        announced_check();
        for (int i = 0; i < 3; i++) collect(heap); /* over: not for ever */
        fh_gc_destroy(heap);
    }
}

/* ---- what follows -------------------------------------------------------------------------------------------- */

enum { MANY = 100, LARGE = 20000 };

/* All references of `all` are to the node with that value. */
static void all_check(struct all *all, uint64_t value)
{
    struct node *node = all->field;
    assert_int_equal(all->value, value);
    assert_int_equal(node->value, value);
    assert_ptr_equal(fh_gc_base(heap, node), node);
    assert_ptr_equal(all->inside, (char *)node + 13);
    assert_int_equal(all->tagged, (uintptr_t)node | 5);
    for (int i = 0; i < MANY; i++) assert_ptr_equal(all->many[i], node);
    assert_ptr_equal(fh_gc_weak_get(heap, all->weak), node);
    assert_ptr_equal(fh_gc_ephemeron_key(heap, all->ephemeron), node);
    assert_ptr_equal(fh_gc_ephemeron_value(heap, all->ephemeron), node->left);
    assert_int_equal(node->left->value, value + 1);
    assert_ptr_equal(fh_gc_table_get(heap, all->table, node, NULL), node->left);
    assert_string_equal(all->leaf + 16, "leaf");
    assert_ptr_equal(*(struct node **)all->leaf, node);
    assert_int_equal(*(uintptr_t *)(all->leaf + 8), ~(uintptr_t)node);
}

/* *all is a root. */
static void all_make(struct all **all, uint64_t value)
{
    fh_gc_store(heap, all, fh_gc_new(heap, all));
    (*all)->value = value;
    struct node *node = NULL;
    FH_GC_FRAME(node);
    node = node_new(heap, value);
    fh_gc_store(heap, &node->left, node_new(heap, value + 1));
    fh_gc_store(heap, &(*all)->field, node);
    fh_gc_store(heap, &(*all)->inside, (char *)node + 13);
    fh_gc_store(heap, &(*all)->tagged, (uintptr_t)node | 5);
    fh_gc_store(heap, &(*all)->many, (struct node **)fh_gc_new_pointers(heap, MANY));
    for (int i = 0; i < MANY; i++) fh_gc_store(heap, &(*all)->many[i], node);
    fh_gc_store(heap, &(*all)->weak, fh_gc_weak_new(heap, node));
    fh_gc_store(heap, &(*all)->ephemeron, fh_gc_ephemeron_new(heap, node, node->left));
    fh_gc_store(heap, &(*all)->table, fh_gc_table_new(heap));
    assert_int_equal(fh_gc_table_set(heap, (*all)->table, node, node->left), 0);
    fh_gc_store(heap, &(*all)->leaf, (char *)fh_gc_new_bytes(heap, 32));
    strcpy((*all)->leaf + 16, "leaf");
    *(struct node **)(*all)->leaf = node;
    *(uintptr_t *)((*all)->leaf + 8) = ~(uintptr_t)node;
    assert_int_equal(fh_gc_link_add(heap, (*all)->leaf, node), 0);
    assert_int_equal(fh_gc_link_add(heap, (*all)->leaf + 8, node), 0);
    all_check(*all, value);
}

static void test_compact__references_follow(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(stopping); p++) {
        struct all **root = calloc(1, sizeof *root);
        heap_exact(stopping[p]);
        assert_int_equal(fh_gc_root_add(heap, root, 1), 0);
        all_make(root, 77);
        for (int i = 0; i < 5; i++) {
            uintptr_t all = ~(uintptr_t)*root, node = ~(uintptr_t)(*root)->field;
            collect(heap);
            assert_int_not_equal(all, ~(uintptr_t)*root);
            assert_int_not_equal(node, ~(uintptr_t)(*root)->field);
            all_check(*root, 77);
        }
        assert_int_equal(fh_gc_link_remove(heap, (*root)->leaf), 0);
        assert_int_equal(fh_gc_link_remove(heap, (*root)->leaf + 8), 0);
        assert_int_equal(fh_gc_root_remove(heap, root), 0);
        fh_gc_destroy(heap);
        free(root);
    }
}

static void test_compact__roots_follow(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(stopping); p++) {
        heap_exact(stopping[p]);
        struct node *local = node_new(heap, 1);
        uintptr_t before = (uintptr_t)local;
        FH_GC_FRAME(local);
        struct fh_gc_handle *handle = fh_gc_handle_new(heap, local);
        /* A large object stays, and what it refers to does not. */
        struct fh_gc_handle *large = fh_gc_handle_new(heap, fh_gc_new_pointers(heap, LARGE));
        void **array = fh_gc_handle_get(large);
        fh_gc_store(heap, &array[LARGE - 1], (void *)local);
        collect(heap);
        assert_int_not_equal((uintptr_t)local, before);
        assert_int_equal(local->value, 1);
        assert_ptr_equal(fh_gc_handle_get(handle), local);
        assert_ptr_equal(fh_gc_handle_get(large), array);
        assert_ptr_equal(array[LARGE - 1], local);
        fh_gc_handle_free(handle);
        fh_gc_handle_free(large);
        fh_gc_frame_leave(&fh_gc_frame_);
        fh_gc_destroy(heap);
    }
}

static uint64_t finalized_value;
static struct node *finalized_node;

static void finalized(void *object, void *data)
{
    finalized_node = object;
    finalized_value = finalized_node->value;
    assert_ptr_equal(data, &finalized_value);
}

static void test_compact__finalizers_get_the_new_address(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(stopping); p++) {
        heap_exact(stopping[p]);
        struct fh_gc_handle *handle = fh_gc_handle_new(heap, node_new(heap, 3));
        struct fh_gc_handle *other = fh_gc_handle_new(heap, node_new(heap, 4));
        void *node = fh_gc_handle_get(handle);
        uintptr_t hidden = ~(uintptr_t)node;
        assert_int_equal(fh_gc_finalizer_add(heap, node, finalized, &finalized_value, 0), 0);
        node = fh_gc_handle_get(other);
        assert_int_equal(fh_gc_finalizer_add(heap, node, finalized, &finalized_value, 0), 0);
        collect(heap);
        /* Found by its new address, and moved once more while it waits in the queue. */
        assert_int_not_equal(~(uintptr_t)fh_gc_handle_get(handle), hidden);
        assert_int_equal(fh_gc_finalizer_cancel(heap, fh_gc_handle_get(other)), 0);
        fh_gc_handle_free(handle);
        collect(heap);
        collect(heap);
        assert_int_equal(fh_gc_finalize_pending(heap), 1);
        assert_int_equal(fh_gc_finalize(heap, 0), 1);
        assert_int_equal(finalized_value, 3);
        assert_ptr_equal(fh_gc_base(heap, finalized_node), finalized_node);
        fh_gc_handle_free(other);
        fh_gc_destroy(heap);
    }
}

/* An old object that moved is remembered when a young one is stored into it. */
static void test_compact__old_objects_are_still_remembered(void **state)
{
    (void)state;
    heap_exact(FH_GC_GENERATIONAL);
    enum { COUNT = 200 };
    struct fh_gc_handle *handle = fh_gc_handle_new(heap, fh_gc_new_pointers(heap, COUNT));
    for (int i = 0; i < COUNT; i++) {
        void **array = fh_gc_handle_get(handle);
        struct node *node = node_new(heap, 0);
        fh_gc_store(heap, &array[i], (void *)node);
    }
    for (uint64_t round = 1; round < 10; round++) {
        collect(heap);
        void **array = fh_gc_handle_get(handle);
        for (uint64_t i = 0; i < COUNT; i++) {
            struct node *young = node_new(heap, round * 1000 + i);
            fh_gc_store(heap, &((struct node *)array[i])->left, young);
        }
        uint64_t minor = stats_now().minor_collections;
        fh_gc_collect(heap, FH_GC_MINOR);
        assert_int_equal(stats_now().minor_collections, minor + 1);
        array = fh_gc_handle_get(handle);
        for (uint64_t i = 0; i < COUNT; i++)
            assert_int_equal(((struct node *)array[i])->left->value, round * 1000 + i);
    }
    assert_true(stats_now().evacuated_bytes > 9 * COUNT * sizeof(struct node));
    fh_gc_handle_free(handle);
    fh_gc_destroy(heap);
}

/* ---- what stays ------------------------------------------------------------------------------------------------ */

static void ranged_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    fh_gc_visit_range(visitor, object, size);
}
FH_GC_TRACED(ranged, struct node, ranged_trace)

enum { STONE, PINNED, FROM_WORDS, FROM_RANGE, FROM_ROOT, ENDED, ALIGNED, MOVING, STAYING };

/* Eight objects, each in a handle, and in front of each a node that moves. */
static void stay_make(struct fh_gc_handle **handle, void **root)
{
    for (int i = 0; i < STAYING; i++) {
        assert_non_null(fh_gc_handle_new(heap, node_new(heap, 9)));
        handle[i] = fh_gc_handle_new(heap, i == STONE ? fh_gc_allocate(heap, &stone, 64)
                                           : i == ALIGNED
                                               ? fh_gc_allocate_aligned(heap, FH_GC_BYTES, 100, 256)
                                               : fh_gc_allocate(heap, FH_GC_BYTES, 64));
    }
    assert_int_equal(fh_gc_pin(heap, fh_gc_handle_get(handle[PINNED])), 0);
    void **words = fh_gc_new_words(heap, 64);
    words[7] = (char *)fh_gc_handle_get(handle[FROM_WORDS]) + 63;
    assert_non_null(fh_gc_handle_new(heap, words));
    struct node *ranged = (struct node *)fh_gc_new(heap, ranged);
    fh_gc_store(heap, &ranged->left, (struct node *)fh_gc_handle_get(handle[FROM_RANGE]));
    assert_non_null(fh_gc_handle_new(heap, ranged));
    root[0] = fh_gc_handle_get(handle[FROM_ROOT]);
    root[1] = (char *)fh_gc_handle_get(handle[ENDED]) + 64;
}

static void test_compact__what_is_held_stays(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(stopping); p++) {
        void **root = calloc(2, sizeof *root), *before[STAYING];
        struct fh_gc_handle *handle[STAYING];
        heap_exact(stopping[p]);
        stay_make(handle, root);
        assert_int_equal(fh_gc_root_range(heap, root, 2 * sizeof *root), 0);
        for (int i = 0; i < STAYING; i++) {
            before[i] = fh_gc_handle_get(handle[i]);
            memset(before[i], 'a' + i, 64);
        }
        for (int round = 0; round < 3; round++) {
            collect(heap);
            for (int i = 0; i < STAYING; i++) {
                char *now = fh_gc_handle_get(handle[i]);
                if (i == MOVING)
                    assert_ptr_not_equal(now, before[i]);
                else
                    assert_ptr_equal(now, before[i]);
                for (int k = 0; k < 64; k++) assert_int_equal(now[k], 'a' + i);
            }
            assert_true(stats_now().pinned_blocks > 0);
        }
        assert_int_equal(fh_gc_unpin(heap, before[PINNED]), 0);
        assert_int_equal(fh_gc_root_remove(heap, root), 0);
        collect(heap);
        assert_ptr_not_equal(fh_gc_handle_get(handle[PINNED]), before[PINNED]);
        assert_ptr_not_equal(fh_gc_handle_get(handle[FROM_ROOT]), before[FROM_ROOT]);
        fh_gc_destroy(heap);
        free(root);
    }
}

static __attribute__((noinline)) void locals_stay(void)
{
    struct fh_gc_handle *handle = fh_gc_handle_new(heap, node_new(heap, 5));
    struct node *volatile local = fh_gc_handle_get(handle);
    for (int i = 0; i < 3; i++) {
        fh_gc_collect(heap, FH_GC_COMPACT);
        assert_ptr_equal(local, fh_gc_handle_get(handle));
        assert_int_equal(local->value, 5);
    }
    fh_gc_handle_free(handle);
}

static void test_compact__locals_never_go_stale(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p],
                                        .debug = FH_GC_VERIFY | FH_GC_MOVE_ALL};
        heap = fh_gc_create(&options);
        locals_stay();
        fh_gc_destroy(heap);
    }
}

static void test_compact__no_moving_means_none(void **state)
{
    (void)state;
    struct fh_gc_options options = {.no_moving = true, .debug = FH_GC_MOVE_ALL};
    options.exact_stacks = options.no_static_data = true;
    heap = fh_gc_create(&options);
    struct fh_gc_handle *handle = fh_gc_handle_new(heap, list_new(heap, 10000));
    void *before = fh_gc_handle_get(handle);
    struct fh_gc_location location;
    fh_gc_location_reset(heap, &location);
    fh_gc_collect(heap, FH_GC_COMPACT);
    assert_ptr_equal(fh_gc_handle_get(handle), before);
    assert_int_equal(stats_now().evacuated_bytes, 0);
    assert_false(fh_gc_location_stale(heap, &location, before));
    fh_gc_destroy(heap);
}

/* ---- hashes ------------------------------------------------------------------------------------------------------ */

static void test_compact__tables_find_their_keys(void **state)
{
    enum { KEYS = 3000 };
    (void)state;
    for (size_t p = 0; p < COUNT_OF(stopping); p++) {
        heap_exact(stopping[p]);
        struct fh_gc_handle *keys = fh_gc_handle_new(heap, fh_gc_new_pointers(heap, KEYS));
        struct fh_gc_handle *table = fh_gc_handle_new(heap, fh_gc_table_new(heap));
        for (uint64_t i = 0; i < KEYS; i++) {
            void *key = node_new(heap, i);
            fh_gc_store(heap, &((void **)fh_gc_handle_get(keys))[i], key);
            assert_int_equal(fh_gc_table_set(heap, fh_gc_handle_get(table), key, key), 0);
            if (i % 300 == 0) collect(heap);
        }
        collect(heap);
        struct fh_gc_location location;
        fh_gc_location_reset(heap, &location);
        for (int i = 0; i < KEYS; i++) {
            void *key = ((void **)fh_gc_handle_get(keys))[i];
            assert_ptr_equal(fh_gc_table_get(heap, fh_gc_handle_get(table), key, NULL), key);
        }
        assert_int_equal(fh_gc_table_count(heap, fh_gc_handle_get(table)), KEYS);
        assert_false(fh_gc_location_stale(heap, &location, NULL));
        collect(heap);
        assert_true(fh_gc_location_stale(heap, &location, NULL));
        fh_gc_destroy(heap);
    }
}

/* Every allocation moves all objects, those that the library itself makes too. */
static void test_compact__in_the_middle_of_calls(void **state)
{
    enum { KEYS = 100 };
    (void)state;
    struct fh_gc_options options = {.exact_stacks = true,
                                    .no_static_data = true,
                                    .stress = 1,
                                    .debug = FH_GC_POISON | FH_GC_MOVE_ALL};
    heap = fh_gc_create(&options);
    struct fh_gc_handle *keys = fh_gc_handle_new(heap, fh_gc_new_pointers(heap, KEYS));
    struct fh_gc_handle *table = fh_gc_handle_new(heap, fh_gc_table_new(heap));
    for (uint64_t i = 0; i < KEYS; i++) {
        void *key = node_new(heap, i);
        fh_gc_store(heap, &((void **)fh_gc_handle_get(keys))[i], key);
        assert_int_equal(fh_gc_table_set(heap, fh_gc_handle_get(table), key, key), 0);
        for (uint64_t k = 0; k <= i; k += 7) {
            key = ((void **)fh_gc_handle_get(keys))[k];
            key = fh_gc_table_get(heap, fh_gc_handle_get(table), key, NULL);
            assert_ptr_equal(key, ((void **)fh_gc_handle_get(keys))[k]); /* where it is by now */
        }
    }
    struct fh_gc_handle *text = fh_gc_handle_new(heap, fh_gc_strdup(heap, "an object"));
    char *copy = fh_gc_strdup(heap, fh_gc_handle_get(text));
    assert_string_equal(copy, "an object");
    fh_gc_destroy(heap);
}

/* ---- what it is for ------------------------------------------------------------------------------------------------ */

/* A list of which one node in `part` is left, so that the heap is mostly holes. */
static __attribute__((noinline)) void list_thin(struct fh_gc_handle *handle, uint64_t length,
                                                uint64_t part)
{
    fh_gc_handle_set(handle, list_new(heap, length));
    for (struct node *node = fh_gc_handle_get(handle); node; node = node->right) {
        struct node *next = node;
        for (uint64_t i = 0; i < part && next; i++) next = next->right;
        fh_gc_store(heap, &node->right, next);
    }
}

static __attribute__((noinline)) uint64_t list_length(struct fh_gc_handle *handle, uint64_t part)
{
    uint64_t length = 0;
    for (struct node *node = fh_gc_handle_get(handle); node; node = node->right, length++)
        if (node->right) assert_int_equal(node->value - part, node->right->value);
    return length;
}

static void test_compact__sparse_heaps_shrink(void **state)
{
    enum { LENGTH = 1000000, PART = 20 };
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {
            .policy = policies[p], .initial = 64 << 20, .debug = FH_GC_VERIFY | FH_GC_POISON};
        heap = fh_gc_create(&options);
        struct fh_gc_handle *handle = fh_gc_handle_new(heap, NULL);
        list_thin(handle, LENGTH, PART);
        collect(heap);
        assert_true(stats_now().blocks.count > 400);
        assert_int_equal(stats_now().evacuated_bytes, 0);
        stack_clear();
        fh_gc_collect(heap, FH_GC_COMPACT);
        struct fh_gc_stats after = stats_now();
        assert_true(after.evacuated_bytes > 0);
        assert_true(after.heap_bytes < after.live_bytes * 3 / 2 + (2 << 20));
        assert_true(after.live_bytes >= LENGTH / PART * sizeof(struct node));
        assert_int_equal(list_length(handle, PART), LENGTH / PART);
        assert_int_equal(fh_gc_verify(heap), 0);
        fh_gc_destroy(heap);
    }
}

/* What is left is a small part of what was; by itself, a collection gives the rest back. */
static void test_compact__after_a_peak(void **state)
{
    enum { LENGTH = 2000000, PART = 50 };
    (void)state;
    for (size_t p = 0; p < COUNT_OF(stopping); p++) {
        heap = heap_with(stopping[p]);
        struct fh_gc_handle *handle = fh_gc_handle_new(heap, NULL);
        list_thin(handle, LENGTH, PART);
        assert_true(stats_now().heap_bytes > 60 << 20);
        collect(heap);
        assert_true(stats_now().heap_bytes <= 10 << 20);
        assert_int_equal(list_length(handle, PART), LENGTH / PART);
        fh_gc_destroy(heap);
    }
}

/* At the limit, no block is empty, and an object of 4 MiB is wanted. */
static void test_compact__before_memory_is_refused(void **state)
{
    enum { LENGTH = 300000, PART = 20 };
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {
            .policy = policies[p], .limit = 12 << 20, .sizing = FH_GC_FIXED, .debug = FH_GC_VERIFY};
        heap = fh_gc_create(&options);
        struct fh_gc_handle *handle = fh_gc_handle_new(heap, NULL);
        list_thin(handle, LENGTH, PART);
        stack_clear();
        char *large = fh_gc_new_bytes(heap, 8 << 20);
        assert_non_null(large);
        assert_true(stats_now().evacuated_bytes > 0);
        assert_true(stats_now().heap_bytes <= 12 << 20);
        assert_int_equal(list_length(handle, PART), LENGTH / PART);
        fh_gc_destroy(heap);
    }
}

/* Objects do not fit into holes for two nodes: by itself, a collection makes room of them. */
static void test_compact__when_holes_are_of_no_use(void **state)
{
    enum { LENGTH = 600000, PART = 3 };
    (void)state;
    struct fh_gc_options options = {.limit = 24 << 20, .sizing = FH_GC_FIXED};
    heap = fh_gc_create(&options);
    struct fh_gc_handle *handle = fh_gc_handle_new(heap, NULL);
    list_thin(handle, LENGTH, PART);
    collect(heap);
    assert_int_equal(stats_now().evacuated_bytes, 0);
    for (int i = 0; i < 50000; i++) assert_non_null(fh_gc_new_bytes(heap, 200));
    assert_true(stats_now().evacuated_bytes > 0);
    assert_int_equal(stats_now().collections, 2);
    assert_int_equal(list_length(handle, PART), LENGTH / PART);
    fh_gc_destroy(heap);
}

/* Without memory for its tables nothing moves, and nothing is lost. */
static void test_compact__memory_is_refused(void **state)
{
    enum { LENGTH = 100000, PART = 20 };
    (void)state;
    struct rlimit before, none = {0, 0};
    heap_exact(FH_GC_MARK);
    struct fh_gc_handle *handle = fh_gc_handle_new(heap, NULL);
    list_thin(handle, LENGTH, PART);
    collect(heap);
    uint64_t moved = stats_now().evacuated_bytes;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
    collect(heap);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(stats_now().evacuated_bytes, moved);
    assert_int_equal(list_length(handle, PART), LENGTH / PART);
    collect(heap);
    assert_true(stats_now().evacuated_bytes > moved);
    assert_int_equal(list_length(handle, PART), LENGTH / PART);
    fh_gc_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compact__an_announced_store_is_kept),
        cmocka_unit_test(test_compact__references_follow),
        cmocka_unit_test(test_compact__roots_follow),
        cmocka_unit_test(test_compact__finalizers_get_the_new_address),
        cmocka_unit_test(test_compact__old_objects_are_still_remembered),
        cmocka_unit_test(test_compact__what_is_held_stays),
        cmocka_unit_test(test_compact__locals_never_go_stale),
        cmocka_unit_test(test_compact__no_moving_means_none),
        cmocka_unit_test(test_compact__tables_find_their_keys),
        cmocka_unit_test(test_compact__in_the_middle_of_calls),
        cmocka_unit_test(test_compact__sparse_heaps_shrink),
        cmocka_unit_test(test_compact__after_a_peak),
        cmocka_unit_test(test_compact__before_memory_is_refused),
        cmocka_unit_test(test_compact__when_holes_are_of_no_use),
        cmocka_unit_test(test_compact__memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
