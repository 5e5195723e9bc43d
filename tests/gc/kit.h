/* What the unit tests of the collector share: nodes, and calls whose frames leave nothing on the stack. */
#ifndef GC_KIT_H
#define GC_KIT_H

#include <freehold/gc.h>

#include <string.h>

#include "kit/options.h"
#include "kit/unit.h"

struct node {
    struct node *left, *right;
    uint64_t value;
};
FH_GC_TYPE(node, left, right)

/* Under FH_GC_WATCHED the program's plain stores race with the marker's loads, by design: the thread
 * sanitizer is not to see it. */
static const enum fh_gc_policy policies[] __attribute__((unused)) = {
    FH_GC_MARK,
    FH_GC_GENERATIONAL,
    FH_GC_CONCURRENT,
#if !KIT_THREAD_SANITIZER
    FH_GC_WATCHED,
#endif
};

static inline struct fh_gc_heap *heap_with(enum fh_gc_policy policy)
{
    struct fh_gc_options options = {.policy = policy, .debug = FH_GC_VERIFY | FH_GC_POISON};
    struct fh_gc_heap *heap = fh_gc_create(&options);
    assert_non_null(heap);
    return heap;
}

/* Overwrites the stack below, where calls that have returned left their references. */
static __attribute__((noinline, unused)) void stack_clear(void)
{
    volatile char bytes[16384];
    memset((char *)bytes, 0, sizeof bytes);
    __asm__ volatile("" ::"r"(bytes) : "memory");
}

static inline void collect(struct fh_gc_heap *heap)
{
    stack_clear();
    assert_int_equal(fh_gc_collect(heap, FH_GC_FULL), 0);
}

static inline struct node *node_new(struct fh_gc_heap *heap, uint64_t value)
{
    struct node *node = fh_gc_new(heap, node);
    assert_non_null(node);
    node->value = value;
    return node;
}

/* A list of `length` nodes with values length-1 ... 0. */
static __attribute__((noinline, unused)) struct node *list_new(struct fh_gc_heap *heap,
                                                               uint64_t length)
{
    struct node *list = NULL;
    for (uint64_t i = 0; i < length; i++) {
        struct node *node = node_new(heap, i);
        fh_gc_store(heap, &node->right, list);
        list = node;
    }
    return list;
}

static inline void list_check(const struct node *list, uint64_t length)
{
    for (uint64_t i = length; i-- > 0; list = list->right) {
        assert_non_null(list);
        assert_int_equal(list->value, i);
    }
    assert_null(list);
}

static inline uint64_t live_objects(struct fh_gc_heap *heap)
{
    struct fh_gc_stats stats;
    collect(heap);
    fh_gc_stats_get(heap, &stats);
    return stats.objects_marked;
}

#endif
