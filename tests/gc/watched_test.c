/*
 * Long objects under FH_GC_WATCHED, of which only what lies on written pages is scanned again. What could break: a
 * reference that was stored while marking went on is not found, since its element reaches over the end of a page, or
 * lies in the last part of the object; or an object with a trace function is taken for scanned when it was written to
 * once more.
 *
 * A thread stores new nodes at random places while another collects; each cycle ends with a look at the whole heap
 * (FH_GC_VERIFY), which ends the test at the first reference to what was not marked.
 *
 * And that a heap has one collector, and whose collections stop the program while there is little to mark.
 */
#include "gc/kit.h"

#include <dirent.h>
#include <pthread.h>

#include "gc/cycle.h"
#include "gc/heap.h"
#include "kit/random.h"

enum { COLLECTIONS = 12, BYTES = 1 << 20, STORES = 64 };

/* Odd sizes, so that elements reach over pages in all ways. */
struct entry {
    uint64_t before[3];
    struct node *node;
    uint64_t after;
};
struct row {
    struct node *first;
    uint64_t number;
    struct entry entry[];
};
static const struct fh_gc_field row_fields[] = {{offsetof(struct row, first), 1}};
static const struct fh_gc_field entry_fields[] = {{offsetof(struct entry, node), 1}};
static struct fh_gc_type row_type = {.name = "row",
                                     .size = sizeof(struct row),
                                     .fields = row_fields,
                                     .field_count = 1,
                                     .element = sizeof(struct entry),
                                     .element_fields = entry_fields,
                                     .element_field_count = 1};

static void words_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    for (size_t i = 0; i < size / sizeof(void *); i++) fh_gc_visit(visitor, (void **)object + i);
}
static struct fh_gc_type traced_type = {
    .name = "traced", .size = 8, .trace = words_trace, .element = 8};

static struct fh_gc_heap *heap;
static _Atomic bool over;

static void *collects(void *unused)
{
    (void)unused;
    for (int i = 0; i < COLLECTIONS; i++) fh_gc_collect(heap, FH_GC_FULL);
    over = true;
    return NULL;
}

/* The slot of element `i`. */
typedef struct node **slot_fn(void *object, size_t i);

static struct node **slot_of_entry(void *object, size_t i)
{
    return &((struct row *)object)->entry[i].node;
}

static struct node **slot_of_word(void *object, size_t i)
{
    return (struct node **)object + i;
}

static void stores_are_found(void *object, size_t count, slot_fn *slot)
{
    struct random random = {3};
    pthread_t collector;
    struct fh_gc_stats stats;
    over = false;
    assert_int_equal(pthread_create(&collector, NULL, collects, NULL), 0);
    while (!over)
        for (int i = 0; i < STORES; i++) {
            size_t at = random_below(&random, count);
            *slot(object, at) = node_new(heap, at);
        }
    pthread_join(collector, NULL);
    for (size_t i = 0; i < count; i++)
        if (*slot(object, i)) assert_int_equal((*slot(object, i))->value, i);
    fh_gc_stats_get(heap, &stats);
    assert_true(stats.collections >= COLLECTIONS);
}

static int heap_create(void **state)
{
    (void)state;
    heap = heap_with(FH_GC_WATCHED);
    return 0;
}

static int heap_destroy(void **state)
{
    (void)state;
    fh_gc_destroy(heap);
    return 0;
}

static void test_watched__elements(void **state)
{
    (void)state;
    size_t count = BYTES / sizeof(struct entry);
    struct row *row = fh_gc_allocate_array(heap, &row_type, count);
    assert_non_null(row);
    stores_are_found(row, count, slot_of_entry);
}

static void test_watched__words(void **state)
{
    (void)state;
    void *words = fh_gc_new_words(heap, BYTES);
    assert_non_null(words);
    stores_are_found(words, BYTES / sizeof(void *), slot_of_word);
}

static void test_watched__traced(void **state)
{
    (void)state;
    void *traced = fh_gc_allocate_array(heap, &traced_type, BYTES / sizeof(void *) - 1);
    assert_non_null(traced);
    stores_are_found(traced, BYTES / sizeof(void *), slot_of_word);
}

static int threads_count(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    while (readdir(tasks)) count++;
    closedir(tasks);
    return count;
}

/* A thread that ends a collection looks whether a collector is there, sleeps, and says then that one is due, though
 * another thread has started it meanwhile. Two of them would run cycles of one heap side by side. */
static void test_watched__one_collector(void **state)
{
    (void)state;
    struct gc_heap *inside = heap_of(heap);
    fh_gc_collect(heap, FH_GC_FULL);
    assert_non_null(node_new(heap, 1));
    fh_gc_collect(heap, FH_GC_FULL);
    assert_true(inside->has_collector || inside->watch_fails);
    int before = threads_count();
    atomic_store(&inside->collector_state, COLLECTOR_DUE);
    fh_gc_collect(heap, FH_GC_FULL);
    assert_int_equal(inside->collector_state, COLLECTOR_HERE);
    assert_int_equal(threads_count(), before);
}

static FH_NOINLINE uint32_t cycles_to_grow(struct gc_heap *inside, uint64_t length)
{
    uint32_t before = inside->cycles_done;
    struct node *list = list_new(heap, length);
    for (int i = 0; i < 4; i++) {
        list_check(list, length);
        fh_gc_collect(heap, FH_GC_FULL);
    }
    list_check(list, length);
    return inside->cycles_done - before;
}

/* Less to mark than the bound: the program is stopped. More: beside it. Less again: stopped again. It is the bound that
 * changes here, since nobody knows what stale words on the stack keep. */
static void test_watched__little_is_stopped_for(void **state)
{
    (void)state;
    enum { LENGTH = (4 << 20) / sizeof(struct node), BELOW = 1 << 20, ABOVE = 1 << 30 };
    struct gc_heap *inside = heap_of(heap);
    inside->watch_least = ABOVE;
    assert_int_equal(cycles_to_grow(inside, LENGTH), 0);
    inside->watch_least = BELOW;
    uint32_t cycles = cycles_to_grow(inside, LENGTH);
    if (inside->watch_fails) skip();
    assert_true(cycles > 0);
    inside->watch_least = ABOVE;
    uint32_t epoch = inside->epoch;
    assert_int_equal(cycles_to_grow(inside, LENGTH), 0);
    assert_true(inside->epoch - epoch >= 4);
    inside->watch_least = BELOW;
    assert_true(cycles_to_grow(inside, LENGTH) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_watched__elements, heap_create, heap_destroy),
        cmocka_unit_test_setup_teardown(test_watched__words, heap_create, heap_destroy),
        cmocka_unit_test_setup_teardown(test_watched__traced, heap_create, heap_destroy),
        cmocka_unit_test_setup_teardown(test_watched__one_collector, heap_create, heap_destroy),
        cmocka_unit_test_setup_teardown(test_watched__little_is_stopped_for, heap_create,
                                        heap_destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
