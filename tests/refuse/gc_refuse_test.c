/*
 * The collector with memory, or a thread, refused at the n-th request, for n = 1, 2, 3 ... until a body of
 * calls passes that made fewer requests than that. Each n twice: only this request is refused, and all from
 * this one on. Under every policy.
 *
 * What could break: every table that grows, each in the middle of something: the mark stack, lists of blocks
 * and weak things, snapshots, what barriers remember, the threads that mark. The program gets NULL with
 * ENOMEM, or -ENOMEM; or the call works by another way. No object that can be reached is lost, and once
 * memory is there again nothing is kept that cannot be: the model in gc/world.h and a bulk of each kind of
 * thing say so.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/gc.h>

#include "gc/world.h"
#include "kit/expect.h"
#include "os/fake/fake.h"

enum {
    STEPS = 800,
    WIDTH = 9000, /* of an array: more than fit the mark stack's first chunks */
    THINGS = 2500,
    REQUESTS_MIN = 30, /* a body that makes fewer tests nothing */
    REQUESTS_MAX = 5000,
    FAILURES = 20, /* of a loop, which then ends */
    HANG_S = 120,
};

enum outcome { REFUSED = 10, NOT_REFUSED = 11 };

struct item {
    struct item *next;
    uint64_t number;
    uint64_t unused[2];
};
FH_GC_TYPE(item, next)

static struct fh_gc_heap *heap;
static bool may_refuse;
static int failures; /* since a loop began: each may cost some collections */

/* What holds the bulk: roots, so that stacks need not be searched. */
static struct {
    struct item **wide;
    struct item *list;
    struct fh_gc_weak *weak[THINGS];
    struct fh_gc_ephemeron *ephemeron[THINGS];
} root;
static struct fh_gc_handle *handle[THINGS];
static void *linked[THINGS];
static int finalized;

static bool refused(bool failed)
{
    EXPECT(!failed || (may_refuse && errno == ENOMEM), "errno %d", errno);
    failures += failed;
    return failed;
}

static struct item *item_new(uint64_t number)
{
    struct item *item = fh_gc_new(heap, item);
    if (refused(item == NULL)) return NULL;
    EXPECT(item->number == 0 && item->next == NULL, "a fresh item");
    item->number = number;
    return item;
}

/* ---- a bulk of each kind of thing --------------------------------------------------------------------- */

static void wide_make(void)
{
    failures = 0;
    struct item **wide = (struct item **)fh_gc_new_pointers(heap, WIDTH);
    if (refused(wide == NULL)) return;
    fh_gc_store(heap, &root.wide, wide);
    for (uint64_t i = 0; i < WIDTH && failures < FAILURES; i++)
        fh_gc_store(heap, &root.wide[i], item_new(i + 1));
}

static void wide_check(void)
{
    for (uint64_t i = 0; root.wide && i < WIDTH; i++) {
        struct item *item = root.wide[i];
        EXPECT(may_refuse || item, "item %lu is missing", (unsigned long)i);
        EXPECT(item == NULL || item->number == i + 1, "item %lu", (unsigned long)i);
    }
}

static void list_make(void)
{
    failures = 0;
    for (uint64_t i = 0; i < THINGS && failures < FAILURES; i++) {
        struct item *item = item_new(i);
        if (item == NULL) continue;
        fh_gc_store(heap, &item->next, root.list);
        fh_gc_store(heap, &root.list, item);
    }
}

static void list_check(void)
{
    uint64_t before = THINGS;
    for (struct item *item = root.list; item; item = item->next) {
        EXPECT(item->number < before, "the list is mixed up");
        before = item->number;
    }
}

static void note_finalized(void *object, void *data)
{
    (void)data;
    EXPECT(((struct item *)object)->number < THINGS, "finalizer of no item");
    finalized++;
}

/* Weak references, ephemerons and links to items of the list, and finalizers of others, that are garbage. */
static void weak_make(void)
{
    struct item *item = root.list;
    failures = 0;
    for (int i = 0; i < THINGS && item && failures < FAILURES; i++, item = item->next) {
        fh_gc_store(heap, &root.weak[i], fh_gc_weak_new(heap, item));
        refused(root.weak[i] == NULL);
        fh_gc_store(heap, &root.ephemeron[i], fh_gc_ephemeron_new(heap, item, root.list));
        refused(root.ephemeron[i] == NULL);
        handle[i] = fh_gc_handle_new(heap, item);
        refused(handle[i] == NULL);
        errno = -fh_gc_link_add(heap, &linked[i], item);
        linked[i] = refused(errno != 0) ? NULL : item;
    }
}

static int finalizers_make(void)
{
    int made = 0;
    failures = 0;
    for (uint64_t i = 0; i < THINGS && failures < FAILURES; i++) {
        struct item *item = item_new(i);
        if (item == NULL) continue;
        errno = -fh_gc_finalizer_add(heap, item, note_finalized, NULL, FH_GC_UNORDERED * (i % 2));
        made += !refused(errno != 0);
    }
    return made;
}

static void weak_check(void)
{
    struct item *item = root.list;
    for (int i = 0; i < THINGS && item; i++, item = item->next) {
        if (root.weak[i]) EXPECT(fh_gc_weak_get(heap, root.weak[i]) == item, "weak %d", i);
        if (root.ephemeron[i])
            EXPECT(fh_gc_ephemeron_value(heap, root.ephemeron[i]) == root.list, "ephemeron %d", i);
        if (handle[i]) EXPECT(fh_gc_handle_get(handle[i]) == item, "handle %d", i);
        EXPECT(linked[i] == NULL || linked[i] == item, "link %d", i);
    }
}

static void bulk_drop(void)
{
    for (int i = 0; i < THINGS; i++) {
        if (linked[i]) EXPECT(fh_gc_link_remove(heap, &linked[i]) == 0, "link %d", i);
        fh_gc_handle_free(handle[i]);
        handle[i] = NULL;
        linked[i] = NULL;
        fh_gc_store(heap, &root.weak[i], NULL);
        fh_gc_store(heap, &root.ephemeron[i], NULL);
    }
    fh_gc_store(heap, &root.wide, NULL);
    fh_gc_store(heap, &root.list, NULL);
}

/* With a collection in the middle, or all tables would have grown before the first. */
static void bulk(void)
{
    wide_make();
    list_make();
    EXPECT(fh_gc_collect(heap, FH_GC_FULL) == 0, "collect");
    wide_check();
    weak_make();
    int made = finalizers_make();
    finalized = 0;
    for (int i = 0; i < 3; i++) { /* the queue may have been refused room */
        EXPECT(fh_gc_collect(heap, FH_GC_FULL) == 0, "collect");
        fh_gc_finalize(heap, 0);
    }
    EXPECT(finalized <= made, "%d finalizers of %d", finalized, made);
    wide_check();
    list_check();
    weak_check();
    bulk_drop();
}

/* ---- the body --------------------------------------------------------------------------------------------- */

/* With little in common but the heap, on a thread that is not attached yet. */
static void *thread_body(void *unused)
{
    struct item *list = NULL;
    failures = 0;
    if (fh_gc_thread_attach() == -ENOMEM) {
        EXPECT(may_refuse, "attach");
        return unused;
    }
    for (uint64_t i = 0; i < THINGS && failures < FAILURES; i++) {
        struct item *item = item_new(i);
        if (item == NULL) continue;
        fh_gc_store(heap, &item->next, i % 16 ? list : NULL);
        list = item;
    }
    for (uint64_t length = 0; list; list = list->next) EXPECT(++length <= 16, "a list is mixed up");
    return unused;
}

static void *join(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    return NULL;
}

static void body(struct world_rules rules, uint64_t seed)
{
    may_refuse = rules.may_refuse;
    world_begin(heap, rules);
    struct world *world = world_create(seed);
    for (int i = 0; world && i < STEPS; i++) world_step(world);
    if (world) world_check(world);
    if (world) world_destroy(world);
    errno = -fh_gc_root_add(heap, &root, sizeof root / sizeof(void *));
    if (!refused(errno != 0)) {
        bulk();
        EXPECT(fh_gc_root_remove(heap, &root) == 0, "remove");
    }
    if (rules.exact) return; /* its stack would not be searched */
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, thread_body, NULL) == 0, "no thread");
    fh_gc_blocking(join, &thread);
}

static struct fh_gc_heap *create(enum fh_gc_policy policy, bool exact)
{
    struct fh_gc_options options = {.policy = policy,
                                    .debug = FH_GC_VERIFY,
                                    .initial = 1 << 20,
                                    .markers = 3,
                                    .exact_stacks = exact,
                                    .no_static_data = true};
    struct fh_gc_heap *made = fh_gc_create(&options);
    EXPECT(made || errno == ENOMEM || errno == EAGAIN, "errno %d", errno);
    return made;
}

/* ---- one process for each n ------------------------------------------------------------------------------ */

struct run {
    enum fh_gc_policy policy;
    bool exact;
    uint64_t nth, more;
};

static _Noreturn void child(const struct run *run)
{
    struct world_rules rules = {.exact = run->exact, .alone = true, .may_refuse = true};
    alarm(HANG_S);
    os_fake.quiet = true;
    os_fake.waits = true;
    os_fake_refuse(run->nth, run->more);
    heap = create(run->policy, run->exact);
    if (heap) body(rules, 7);
    bool was_refused = os_fake.refused > 0;
    os_fake_refuse(0, 0);
    os_fake.refuse_from = 0;
    if (heap == NULL) heap = create(run->policy, run->exact);
    /* The allocator itself may have been kept from starting: it stays down. */
    if (heap == NULL && run->nth < 8) _exit(REFUSED);
    EXPECT(heap, "a heap with memory to be had");
    rules.may_refuse = false;
    body(rules, 8);
    EXPECT(fh_gc_verify(heap) == 0, "verify");
    fh_gc_destroy(heap);
    _exit(was_refused ? REFUSED : NOT_REFUSED);
}

static enum outcome try(const struct run *run)
{
    fflush(stdout);
    pid_t pid = fork();
    EXPECT(pid >= 0, "fork");
    if (pid == 0) child(run);
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid, "waitpid");
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) >= REFUSED,
           "policy %d%s, request %llu refused%s: status %#x", (int)run->policy,
           run->exact ? " exact" : "", (unsigned long long)run->nth,
           run->more ? " and all that follow" : "", (unsigned)status);
    return (enum outcome)WEXITSTATUS(status);
}

static void run_all(enum fh_gc_policy policy, bool exact, uint64_t more)
{
    struct run run = {policy, exact, 1, more};
    while (try(&run) != NOT_REFUSED) EXPECT(++run.nth < REQUESTS_MAX, "the body never passes");
    printf("policy %d%s, %s: %llu requests\n", (int)policy, exact ? ", exact stacks" : "",
           more ? "all refused from there on" : "one refused", (unsigned long long)run.nth - 1);
    EXPECT(run.nth > REQUESTS_MIN, "too few");
}

/* gc_refuse_test [POLICY NTH MORE]: one of them, for a debugger. */
int main(int argc, char **argv)
{
    if (argc > 3) {
        struct run run = {(enum fh_gc_policy)atoi(argv[1]), atoi(argv[1]) < 2,
                          strtoull(argv[2], NULL, 0), atoi(argv[3]) ? OS_FAKE_ALL : 0};
        child(&run);
    }
    enum fh_gc_policy policy = argc > 1 ? (enum fh_gc_policy)atoi(argv[1]) : FH_GC_MARK;
    bool exact = policy != FH_GC_CONCURRENT;
    run_all(policy, exact, 0);
    run_all(policy, exact, OS_FAKE_ALL);
    if (exact) run_all(policy, false, 0);
    return 0;
}
