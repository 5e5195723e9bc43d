/*
 * Heaps of several threads, over os/fake: blocks freed by others, threads that end, sweeps and trims.
 * The threads take turns (each step waits for the one before), so that every test has one outcome.
 *
 * What could break: memory that a thread leaves behind and nobody can use; blocks freed elsewhere
 * that never come home; heaps that multiply with the threads that come and go.
 */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include <freehold/freehold.h>

#include "heap/slab.h"
#include "kit/pattern.h"
#include "kit/resident.h"
#include "kit/unit.h"
#include "os/fake/fake.h"

enum { BLOCKS = 4000, SIZE = 256 };

static char *block[BLOCKS];

static int set_up(void **state)
{
    (void)state;
    fh_free(fh_malloc(1));
    return heap_self == &heap_none;
}

/* Not 0 if any heap takes a slab for its own, whoever had it before. */
static uint32_t slabs_of_heaps(void)
{
    uint32_t slabs = 0;
    for (uint32_t i = 0; i < heap_count(); i++)
        for (unsigned c = 1; c < CLASSES; c++) slabs |= heap_at(i)->bin[c].slabs;
    return slabs;
}

static int empty(void **state)
{
    (void)state;
    fh_malloc_trim(0);
    if (slabs_of_heaps() != 0) return 1;
    return fh_registry.slabs != 0 || fh_registry.runs != 0 || fh_registry.large_count != 0;
}

static void run_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, body, argument), 0);
    pthread_join(thread, NULL);
}

static void *allocate_blocks(void *unused)
{
    (void)unused;
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = fh_malloc(SIZE);
        pattern_write(block[i], SIZE, (uint64_t)i);
    }
    return NULL;
}

static void *free_blocks(void *unused)
{
    (void)unused;
    for (int i = 0; i < BLOCKS; i++) {
        if (block[i]) pattern_expect(block[i], SIZE, SIZE, (uint64_t)i);
        fh_free(block[i]);
        block[i] = NULL;
    }
    return NULL;
}

/* ---- freed by others ------------------------------------------------------------------------------------ */

static void test_remote__blocks_come_home(void **state)
{
    (void)state;
    allocate_blocks(NULL);
    uint64_t slabs = fh_registry.slabs;
    for (int round = 0; round < 5; round++) {
        run_thread(free_blocks, NULL);
        allocate_blocks(NULL);
        assert_in_range(fh_registry.slabs, slabs, slabs + 1);
    }
    free_blocks(NULL);
}

static size_t unsent(const struct heap *heap)
{
    size_t bytes = 0;
    for (int i = 0; i < REMOTE_SETS; i++)
        if (heap->remote[i].slab)
            bytes +=
                heap->remote[i].count * class_facts[span_at(heap->remote[i].slab)->size_class].size;
    return bytes;
}

static size_t unsent_most;

static void *free_and_watch(void *unused)
{
    (void)unused;
    for (int i = 0; i < BLOCKS; i++) {
        fh_free(block[i]);
        unsent_most = base_max(unsent_most, unsent(heap_self));
        block[i] = NULL;
        if (i == 0) fh_free(fh_malloc(1)); /* from the second on it has a heap of its own */
    }
    return NULL;
}

static void test_remote__a_thread_sits_on_little(void **state)
{
    (void)state;
    allocate_blocks(NULL);
    run_thread(free_and_watch, NULL);
    assert_in_range(unsent_most, SIZE, REMOTE_BUDGET);
}

static void *free_without_heap(void *unused)
{
    free_blocks(unused);
    assert_ptr_equal(heap_self, &heap_none);
    return NULL;
}

static void test_remote__a_thread_that_only_frees_needs_no_heap(void **state)
{
    (void)state;
    uint32_t heaps = heap_count();
    allocate_blocks(NULL);
    run_thread(free_without_heap, NULL);
    assert_int_equal(heap_count(), heaps);
    allocate_blocks(NULL);
    free_blocks(NULL);
}

static enum fh_kind kind_of(const void *p)
{
    struct fh_description description;
    return fh_describe(p, &description);
}

static void *free_one_and_look(void *own_heap)
{
    if (own_heap) fh_free(fh_malloc(1));
    assert_int_equal(kind_of(block[0]), FH_BLOCK);
    fh_free(block[0]);
    assert_int_equal(kind_of(block[0]), FH_BLOCK_FREE);
    return NULL;
}

static void test_remote__a_block_is_free_as_soon_as_it_is_freed(void **state)
{
    (void)state;
    for (int own_heap = 0; own_heap < 2; own_heap++) {
        block[0] = fh_malloc(SIZE);
        void *beside = fh_malloc(SIZE);
        run_thread(free_one_and_look, own_heap ? block : NULL);
        block[0] = NULL;
        fh_free(beside);
    }
}

static sem_t ready, go_on;

static void *allocate_and_sleep(void *unused)
{
    allocate_blocks(unused);
    sem_post(&ready);
    sem_wait(&go_on);
    return NULL;
}

/* Of a thread that sleeps; what it allocates from next stays. */
static void test_remote__slabs_that_others_emptied_go_back(void **state)
{
    (void)state;
    pthread_t thread;
    sem_init(&ready, 0, 0);
    sem_init(&go_on, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, allocate_and_sleep, NULL), 0);
    sem_wait(&ready);
    assert_true(fh_registry.slabs >= BLOCKS * SIZE / SLICE_SIZE);
    free_blocks(NULL);
    fh_malloc_trim(0);
    assert_in_range(fh_registry.slabs, 0, 2);
    sem_post(&go_on);
    pthread_join(thread, NULL);
}

/* ---- threads that end ------------------------------------------------------------------------------------- */

static void *use_a_little(void *unused)
{
    (void)unused;
    for (size_t size = 1; size < 100000; size = size * 5 / 4 + 1) fh_free(fh_malloc(size));
    return NULL;
}

static void test_detach__one_heap_serves_one_thread_after_the_other(void **state)
{
    (void)state;
    run_thread(use_a_little, NULL);
    uint32_t heaps = heap_count();
    for (int i = 0; i < 200; i++) run_thread(use_a_little, NULL);
    assert_int_equal(heap_count(), heaps);
}

static uint32_t heaps_that_wait_as_they_are(void)
{
    uint32_t warm = 0;
    for (uint32_t i = 0; i < heap_count(); i++)
        warm += LOAD(&heap_at(i)->state) == FH_HEAP_IDLE && !heap_at(i)->settled;
    return warm;
}

static void test_detach__its_lists_wait_for_the_next_thread(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        run_thread(use_a_little, NULL);
        assert_int_equal(heaps_that_wait_as_they_are(), 1);
    }
    fh_malloc_trim(0);
    assert_int_equal(heaps_that_wait_as_they_are(), 0);
}

static void *use_a_little_and_sleep(void *unused)
{
    use_a_little(unused);
    sem_post(&ready);
    sem_wait(&go_on);
    return NULL;
}

/* First of all tests, since others have more. */
static void test_attach__the_peak_is_of_threads_at_the_same_time(void **state)
{
    (void)state;
    pthread_t thread[5];
    sem_init(&ready, 0, 0);
    sem_init(&go_on, 0, 0);
    for (int i = 0; i < 10; i++) run_thread(use_a_little, NULL);
    assert_int_equal(fh_registry.threads_peak, 2);
    for (uint32_t i = 0; i < COUNT_OF(thread); i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, use_a_little_and_sleep, NULL), 0);
        sem_wait(&ready);
    }
    assert_int_equal(fh_registry.threads_peak, 1 + COUNT_OF(thread));
    for (uint32_t i = 0; i < COUNT_OF(thread); i++) sem_post(&go_on);
    for (uint32_t i = 0; i < COUNT_OF(thread); i++) pthread_join(thread[i], NULL);
}

static void test_adopt__what_a_thread_left_half_free_is_used(void **state)
{
    (void)state;
    run_thread(allocate_blocks, NULL);
    uint64_t slabs = fh_registry.slabs;
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 2) continue;
        fh_free(block[i]);
        block[i] = NULL;
    }
    for (int i = 0; i < BLOCKS; i += 2) {
        block[i] = fh_malloc(SIZE);
        pattern_write(block[i], SIZE, (uint64_t)i);
    }
    assert_in_range(fh_registry.slabs, slabs, slabs + slabs / 8);
    free_blocks(NULL);
}

static void test_detach__what_a_thread_freed_itself_is_used(void **state)
{
    (void)state;
    run_thread(allocate_blocks, NULL);
    uint64_t slabs = fh_registry.slabs;
    run_thread(free_blocks, NULL);
    for (int round = 0; round < 10; round++) {
        run_thread(allocate_blocks, NULL);
        run_thread(free_blocks, NULL);
    }
    assert_in_range(fh_registry.slabs, 0, slabs);
}

/* A destructor of the program's that runs after the library's own, as its key is younger. */
static pthread_key_t late_key;
static bool late_ran;

static void allocate_late(void *value)
{
    if (heap_self != &heap_none) return; /* the library's comes after this round */
    late_ran = true;
    fh_free(value);
    fh_free(fh_malloc(100));
    assert_int_equal(LOAD(&heap_self->state), FH_HEAP_LIVE); /* a heap anew, given up in turn */
}

static void *set_late(void *unused)
{
    pthread_setspecific(late_key, fh_malloc(10));
    return unused;
}

static void test_detach__a_thread_that_ends_can_still_allocate(void **state)
{
    (void)state;
    uint32_t heaps = heap_count();
    assert_int_equal(pthread_key_create(&late_key, allocate_late), 0);
    for (int i = 0; i < 10; i++) {
        late_ran = false;
        run_thread(set_late, NULL);
        assert_true(late_ran);
    }
    pthread_key_delete(late_key);
    assert_in_range(heap_count(), heaps, heaps + 1);
    for (uint32_t i = 0; i < heap_count(); i++)
        assert_int_equal(LOAD(&heap_at(i)->state),
                         heap_at(i) == heap_self ? FH_HEAP_LIVE : FH_HEAP_IDLE);
}

static void *churn(void *done)
{
    void *p[500];
    for (size_t i = 0; i < COUNT_OF(p); i++) p[i] = fh_malloc(i % 40 * 16);
    for (size_t i = 0; i < COUNT_OF(p); i++) fh_free(p[i]);
    sem_post(done);
    return NULL;
}

/* Many at once: their heaps stay, but not their memory. */
static void test_detach__many_threads_leave_nothing_behind(void **state)
{
    (void)state;
    static pthread_t thread[100];
    sem_t done;
    sem_init(&done, 0, 0);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(thread); i++)
            assert_int_equal(pthread_create(&thread[i], NULL, churn, &done), 0);
        for (size_t i = 0; i < COUNT_OF(thread); i++) sem_wait(&done);
        for (size_t i = 0; i < COUNT_OF(thread); i++) pthread_join(thread[i], NULL);
    }
    fh_malloc_trim(0);
    assert_int_equal(fh_registry.slabs, 0);
    assert_true(heap_count() <= COUNT_OF(thread) + 10);
    sem_destroy(&done);
}

/* ---- sweeps ------------------------------------------------------------------------------------------------- */

static char *page_of(const char *p)
{
    return (char *)((uintptr_t)p & ~(uintptr_t)(CARVE_SIZE - 1));
}

/* Frees whatever touches every fourth page of memory, so that whole pages become free in slabs that
 * live on. Returns how many blocks were freed. */
static int free_every_fourth_page(void)
{
    int freed = 0;
    for (int i = 0; i < BLOCKS; i++) {
        bool first = (uintptr_t)page_of(block[i]) / CARVE_SIZE % 4 == 2;
        bool last = (uintptr_t)page_of(block[i] + SIZE - 1) / CARVE_SIZE % 4 == 2;
        if (!first && !last) continue;
        fh_free(block[i]);
        block[i] = NULL;
        freed++;
    }
    return freed;
}

static void refill_and_free(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (block[i]) continue;
        block[i] = fh_malloc(SIZE);
        pattern_write(block[i], SIZE, (uint64_t)i);
    }
    free_blocks(NULL);
}

static void test_sweep__free_pages_inside_slabs_go_back(void **state)
{
    (void)state;
    allocate_blocks(NULL);
    int freed = free_every_fourth_page();
    uint64_t before = fh_registry.purged_bytes;
    assert_true(heap_sweep(false)); /* notes what it sees, and wants to come again */
    assert_int_equal(fh_registry.purged_bytes, before);
    heap_sweep(false);
    uint64_t gone = fh_registry.purged_bytes - before;
    assert_true(gone >= (size_t)freed * SIZE / 2);
    for (int i = 0; i < BLOCKS; i++)
        if (block[i]) pattern_expect(block[i], SIZE, SIZE, (uint64_t)i);
    while (heap_sweep(false)) {
    }
    refill_and_free();
}

/* A slab in which a block was freed since the last visit is only noted: who frees goes on to free. */
static void test_sweep__leaves_alone_what_changes(void **state)
{
    (void)state;
    allocate_blocks(NULL);
    free_every_fourth_page();
    while (heap_sweep(false)) {
    }
    struct span *slab = span_at(span_index_of(block[BLOCKS / 2]));
    uint64_t before = fh_registry.purged_bytes;
    int freed = 0;
    for (int i = 0; i < BLOCKS; i++) {
        if (block[i] == NULL || span_at(span_index_of(block[i])) != slab) continue;
        if (freed++ == 100) break; /* well before it is empty */
        fh_free(block[i]);
        block[i] = NULL;
        assert_true(heap_sweep(false));
        assert_int_equal(fh_registry.purged_bytes, before);
    }
    assert_true(freed > 50);
    heap_sweep(false);
    assert_true(fh_registry.purged_bytes > before);
    refill_and_free();
}

/* The block that was freed last stays the first of its slab's list, but its page need not stay. */
static void test_sweep__the_page_of_the_block_freed_last_goes_back(void **state)
{
    (void)state;
    allocate_blocks(NULL);
    struct span *slab = span_at(span_index_of(block[BLOCKS / 2]));
    int kept = -1, last = -1;
    for (int i = 0; i < BLOCKS; i++) {
        if (block[i] == NULL || span_at(span_index_of(block[i])) != slab) continue;
        if (kept < 0) {
            kept = i; /* one lives in the first page */
            continue;
        }
        fh_free(block[i]);
        last = i;
    }
    char *first = block[last];
    assert_ptr_equal(LOAD(&slab->free), first);
    assert_true(first - span_start(slab) > 4096);
    heap_sweep(true);
    assert_int_equal(resident_bytes(span_start(slab), SLICE_SIZE), CARVE_SIZE);
    assert_ptr_equal(LOAD(&slab->free), first);
    assert_true(slab_block_is_free(slab, first));
    pattern_expect(block[kept], SIZE, SIZE, (uint64_t)kept);
    for (int i = 0; i < BLOCKS; i++)
        if (i != kept && block[i] && span_at(span_index_of(block[i])) == slab) block[i] = NULL;
    refill_and_free();
}

/* All blocks of the slab that can still be had, into block[] from `from` on. Returns how many. */
static unsigned allocate_from(const struct span *slab, int from)
{
    unsigned had = 0;
    for (int i = from; i < BLOCKS; i++) {
        block[i] = fh_malloc(SIZE);
        pattern_write(block[i], SIZE, (uint64_t)i);
        had += span_at(span_index_of(block[i])) == slab;
    }
    return had;
}

/* Frees all but the first block of a slab, sweeps, and ends. */
static void *leave_a_lone_block(void *first)
{
    allocate_blocks(NULL);
    struct span *slab = span_at(span_index_of(block[0]));
    for (int i = 1; i < BLOCKS; i++) {
        fh_free(block[i]);
        block[i] = NULL;
    }
    heap_sweep(true);
    assert_true(slab_lone(slab) & LONE_LISTED);
    *(struct span **)first = slab;
    return NULL;
}

/* And in use again when the page around it is carved anew: not a second time, and none is left out. */
static void test_sweep__the_block_that_stayed_is_carved_around(void **state)
{
    (void)state;
    struct span *slab;
    leave_a_lone_block(&slab);
    assert_int_equal(allocate_from(slab, 1), class_facts[class_of(SIZE)].blocks - 1);
    assert_int_equal(slab_lone(slab), 0);
    free_blocks(NULL);
}

/* Its page was given back and it stayed; when nobody can be pushing any more, it goes like the others. */
static void test_sweep__the_block_that_stayed_is_not_lost(void **state)
{
    (void)state;
    struct span *slab;
    run_thread(leave_a_lone_block, &slab);
    heap_sweep(true);
    assert_int_equal(slab_lone(slab), 0);
    assert_int_equal(allocate_from(slab, 1), class_facts[class_of(SIZE)].blocks - 1);
    free_blocks(NULL);
}

/* Pages that the process has locked are not given back, and are offered again when it has unlocked them. */
static void test_sweep__locked_pages_are_offered_again(void **state)
{
    (void)state;
    allocate_blocks(NULL);
    size_t before = resident_arena();
    int freed = free_every_fourth_page();
    os_fake.refuse_purge = true;
    heap_sweep(true);
    heap_sweep(true);
    assert_true(resident_arena() >= before);
    for (int i = 0; i < BLOCKS; i++)
        if (block[i]) pattern_expect(block[i], SIZE, SIZE, (uint64_t)i);
    os_fake.refuse_purge = false;
    heap_sweep(true);
    assert_true(before - resident_arena() >= (size_t)freed * SIZE / 2);
    refill_and_free();
}

/* The owner frees on while another thread sweeps, a step of each in turn. */
static sem_t turn_sweeper, turn_owner;
static bool owner_done;

static void *sweep_in_turn(void *unused)
{
    (void)unused;
    for (;;) {
        sem_wait(&turn_sweeper);
        if (owner_done) return NULL;
        heap_sweep(true);
        sem_post(&turn_owner);
    }
}

static void test_sweep__another_thread_sweeps_while_the_owner_frees(void **state)
{
    (void)state;
    pthread_t sweeper;
    sem_init(&turn_sweeper, 0, 0);
    sem_init(&turn_owner, 0, 0);
    owner_done = false;
    pthread_create(&sweeper, NULL, sweep_in_turn, NULL);
    allocate_blocks(NULL);
    uint64_t before = fh_registry.purged_bytes;
    for (int i = 0; i < BLOCKS; i++) {
        pattern_expect(block[i], SIZE, SIZE, (uint64_t)i);
        fh_free(block[i]);
        block[i] = i % 3 ? NULL : fh_malloc(SIZE);
        if (block[i]) pattern_write(block[i], SIZE, (uint64_t)i);
        if (i % 50 != 49) continue;
        sem_post(&turn_sweeper);
        sem_wait(&turn_owner);
    }
    assert_true(fh_registry.purged_bytes > before);
    owner_done = true;
    sem_post(&turn_sweeper);
    pthread_join(sweeper, NULL);
    free_blocks(NULL);
}

/* ---- trims -------------------------------------------------------------------------------------------------- */

static sem_t filled, trimmed;

static void *fill_and_sleep(void *kept)
{
    enum { N = 20000 };
    static _Thread_local char *p[N];
    for (int i = 0; i < N; i++) memset(p[i] = fh_malloc(200), 1, 200);
    for (int i = 1; i < N; i++) fh_free(p[i]);
    *(char **)kept = p[0];
    sem_post(&filled);
    sem_wait(&trimmed);
    return NULL;
}

static void test_trim__memory_of_threads_that_sleep_goes_back(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    char *kept[THREADS];
    sem_init(&filled, 0, 0);
    sem_init(&trimmed, 0, 0);
    fh_malloc_trim(0);
    size_t before = resident_arena();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, fill_and_sleep, &kept[i]), 0);
    for (int i = 0; i < THREADS; i++) sem_wait(&filled);
    assert_true(resident_arena() > before + 3 * MIB);
    assert_int_equal(fh_malloc_trim(0), 1);
    /* Each keeps a block, a heap, and the slabs it allocates from next. */
    assert_true(resident_arena() < before + THREADS * 200 * KIB);
    uint64_t gone = fh_registry.purged_bytes;
    fh_malloc_trim(0);
    assert_in_range(fh_registry.purged_bytes - gone, 0, THREADS * 16 * KIB); /* all but done */
    for (int i = 0; i < THREADS; i++) sem_post(&trimmed);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < THREADS; i++) fh_free(kept[i]);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, empty, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_attach__the_peak_is_of_threads_at_the_same_time),
        CASE(test_remote__blocks_come_home),
        CASE(test_remote__a_thread_sits_on_little),
        CASE(test_remote__a_thread_that_only_frees_needs_no_heap),
        CASE(test_remote__a_block_is_free_as_soon_as_it_is_freed),
        CASE(test_remote__slabs_that_others_emptied_go_back),
        CASE(test_detach__one_heap_serves_one_thread_after_the_other),
        CASE(test_detach__its_lists_wait_for_the_next_thread),
        CASE(test_adopt__what_a_thread_left_half_free_is_used),
        CASE(test_detach__what_a_thread_freed_itself_is_used),
        CASE(test_detach__a_thread_that_ends_can_still_allocate),
        CASE(test_detach__many_threads_leave_nothing_behind),
        CASE(test_sweep__free_pages_inside_slabs_go_back),
        CASE(test_sweep__leaves_alone_what_changes),
        CASE(test_sweep__the_page_of_the_block_freed_last_goes_back),
        CASE(test_sweep__the_block_that_stayed_is_carved_around),
        CASE(test_sweep__the_block_that_stayed_is_not_lost),
        CASE(test_sweep__locked_pages_are_offered_again),
        CASE(test_sweep__another_thread_sweeps_while_the_owner_frees),
        CASE(test_trim__memory_of_threads_that_sleep_goes_back),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
