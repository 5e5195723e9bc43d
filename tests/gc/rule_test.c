/*
 * Calls that the header forbids where they are made, or that lack their other half. What could break: they pass in
 * silence and do harm later, or the program hangs and nobody says why.
 */
#include "gc/kit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "kit/child.h"

static struct fh_gc_heap *heap;
static enum fh_gc_policy policy;

/* ---- what is forbidden ------------------------------------------------------------------------------------- */

static void allocate(void)
{
    (void)node_new(heap, 1);
}

static void collect_now(void)
{
    fh_gc_collect(heap, FH_GC_FULL);
}

static void destroy(void)
{
    fh_gc_destroy(heap);
}

static void verify(void)
{
    fh_gc_verify(heap);
}

static void explain(void)
{
    char text[100];
    fh_gc_why_alive(heap, &heap, text, sizeof text);
}

static void park(void)
{
    fh_gc_park(heap);
}

static bool count_none(void *object, size_t size, const struct fh_gc_type *type, void *data)
{
    (void)object;
    (void)size;
    (void)type;
    (void)data;
    return true;
}

static void walk(void)
{
    fh_gc_walk(heap, count_none, NULL);
}

/* ---- where ----------------------------------------------------------------------------------------------------- */

static void (*forbidden)(void);

static bool walker(void *object, size_t size, const struct fh_gc_type *type, void *data)
{
    (void)object;
    (void)size;
    (void)type;
    (void)data;
    forbidden();
    return false;
}

static void in_walk(void)
{
    (void)node_new(heap, 1);
    fh_gc_walk(heap, walker, NULL);
}

static void listener(const struct fh_gc_event *event, void *data)
{
    (void)event;
    (void)data;
    forbidden();
}

static void in_listener(void)
{
    (void)node_new(heap, 1);
    fh_gc_listen(heap, listener, NULL);
    fh_gc_collect(heap, FH_GC_FULL);
}

static void in_blocking(void)
{
    (void)node_new(heap, 1);
    fh_gc_blocking_begin();
    forbidden();
    fh_gc_blocking_end();
}

static void after_destroy(void)
{
    (void)node_new(heap, 1);
    fh_gc_destroy(heap);
    forbidden();
}

static void blocking_end(void)
{
    fh_gc_blocking_begin();
    fh_gc_blocking_begin();
    fh_gc_blocking_end();
    fh_gc_blocking_end();
    collect_now();
    fh_gc_blocking_end();
}

static void release(void)
{
    fh_gc_clamp(heap);
    fh_gc_release(heap);
    fh_gc_release(heap);
}

static void ramp_end(void)
{
    fh_gc_ramp_begin(heap);
    fh_gc_ramp_end(heap);
    fh_gc_ramp_end(heap);
}

#define WALKED "while objects are traced or walked; stopping"
#define LISTENED "a call of the collector in a listener; stopping"
#define BLOCKED "a call of the collector inside fh_gc_blocking; stopping"
#define GONE "a heap is used that was destroyed, or never made; stopping"

static const struct rule {
    void (*where)(void);
    void (*what)(void);
    const char *line;
} rules[] = {
    {in_walk, allocate, WALKED},
    {in_walk, collect_now, WALKED},
    {in_walk, walk, WALKED},
    {in_walk, explain, WALKED},
    {in_walk, verify, WALKED},
    {in_walk, destroy, WALKED},
    {in_walk, park, WALKED},
    {in_listener, allocate, LISTENED},
    {in_listener, collect_now, LISTENED},
    {in_listener, destroy, LISTENED},
    {in_listener, walk, LISTENED},
    {in_listener, park, LISTENED},
    {in_blocking, collect_now, BLOCKED},
    {in_blocking, walk, BLOCKED},
    {in_blocking, destroy, BLOCKED},
    {after_destroy, allocate, GONE},
    {after_destroy, collect_now, GONE},
    {after_destroy, walk, GONE},
    {blocking_end, NULL, "fh_gc_blocking_end without fh_gc_blocking_begin; stopping"},
    {release, NULL, "fh_gc_release without fh_gc_clamp or fh_gc_park; stopping"},
    {ramp_end, NULL, "fh_gc_ramp_end without fh_gc_ramp_begin; stopping"},
};

static void break_rule(void *data)
{
    const struct rule *rule = data;
    struct fh_gc_options options = {.policy = policy};
    heap = fh_gc_create(&options);
    forbidden = rule->what;
    rule->where();
}

static void test_rule__what_is_forbidden_ends_in_a_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules) * COUNT_OF(policies); i++) {
        struct rule rule = rules[i / COUNT_OF(policies)];
        policy = policies[i % COUNT_OF(policies)];
        struct child_end end = child_run(break_rule, &rule);
        if (end.signal != SIGABRT) print_message("rule %zu\n", i / COUNT_OF(policies));
        assert_int_equal(end.signal, SIGABRT);
        if (!strstr(end.said, rule.line)) print_message("%s: %s\n", rule.line, end.said);
        assert_non_null(strstr(end.said, rule.line));
    }
}

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static void test_rule__what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap = heap_with(policies[p]);
        struct node *node = node_new(heap, 1);
        void **large = fh_gc_new_pointers(heap, 100000);
        assert_int_equal(fh_gc_root_add(heap, &node->left, 1), -EINVAL);
        assert_int_equal(fh_gc_root_add(heap, large + 50000, 1), -EINVAL);
        assert_int_equal(fh_gc_collect(heap, (enum fh_gc_kind)7), -EINVAL);
        fh_gc_destroy(heap);
    }
}

/* ---- a thread that does not answer --------------------------------------------------------------------------------- */

static int said[2], own_stderr;
static _Atomic bool blocked;

static char *line_read(char *line, size_t capacity)
{
    size_t n = 0;
    while (n < capacity - 1 && read(said[0], line + n, 1) == 1 && line[n] != '\n') n++;
    line[n] = 0;
    return line;
}

/* It waits for the line that tells of it. */
static void *thread_blocks_signal(void *unused)
{
    char line[400], expected[100];
    sigset_t all;
    (void)unused;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    assert_int_equal(fh_gc_thread_attach(), 0);
    blocked = true;
    snprintf(expected, sizeof expected, "a collection waits for thread %d,", gettid());
    if (strstr(line_read(line, sizeof line), expected)) dprintf(own_stderr, "told\n");
    fh_gc_safepoint();
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    return NULL;
}

static void unanswered(void *unused)
{
    (void)unused;
    pthread_t thread;
    own_stderr = dup(2);
    assert_int_equal(pipe(said), 0);
    dup2(said[1], 2);
    heap = heap_with(policy);
    assert_int_equal(pthread_create(&thread, NULL, thread_blocks_signal, NULL), 0);
    while (!blocked) usleep(1000);
    assert_int_equal(fh_gc_collect(heap, FH_GC_FULL), 0);
    pthread_join(thread, NULL);
    dprintf(own_stderr, "collected\n");
}

static void test_rule__thread_that_does_not_answer_is_named(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p += 2) {
        policy = policies[p];
        struct child_end end = child_run(unanswered, NULL);
        assert_int_equal(end.status, 0);
        assert_string_equal(end.said, "told\ncollected\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule__what_is_forbidden_ends_in_a_line),
        cmocka_unit_test(test_rule__what_makes_no_sense_is_refused),
        cmocka_unit_test(test_rule__thread_that_does_not_answer_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
