/*
 * Coroutines: stacks that are registered ranges. What could break: a reference that only a coroutine's frame has
 * is lost, because its stack was searched before it got there, or is searched after it left. A thread collects all
 * the time, so that every switch may lie in the middle of a snapshot. Arguments: policy, collections.
 */
#include <freehold/gc.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "kit/expect.h"
#include "kit/random.h"

enum { COROUTINES = 8, THREADS = 2, STACK = 64 << 10, SHELF = 100000, GARBAGE = 30 };

struct node {
    struct node *next;
    uint64_t value, check;
};
FH_GC_TYPE(node, next)

struct coroutine {
    ucontext_t context, *back;
    struct random random;
    void *stack;
    struct node **shelf; /* of its thread */
};

static struct fh_gc_heap *heap;
static _Atomic bool stop;

static struct node *node_make(uint64_t value)
{
    struct node *node = fh_gc_new(heap, node);
    EXPECT(node, "memory");
    node->value = value;
    node->check = ~value;
    return node;
}

static void node_check(const struct node *node)
{
    if (node) EXPECT(node->check == ~node->value, "node %p is still there", (const void *)node);
}

static __attribute__((noinline)) void yield(struct coroutine *self)
{
    fh_gc_stack_switch();
    swapcontext(&self->context, self->back);
}

/* Takes nodes off the shelf, so that only its frame has them, sleeps, looks at them, puts others back: on a shelf so
 * long that one which was lost in a snapshot is met again after the cycle. */
static __attribute__((noinline)) void coroutine_step(struct coroutine *self)
{
    struct node *held[4];
    for (int i = 0; i < 4; i++) {
        struct node **at = &self->shelf[random_below(&self->random, SHELF)];
        held[i] = *at;
        fh_gc_store(heap, at, NULL);
        if (random_below(&self->random, 2)) yield(self);
    }
    for (int i = 0; i < GARBAGE; i++) held[3] = node_make(random_next(&self->random));
    yield(self);
    for (int i = 0; i < 4; i++) {
        node_check(held[i]);
        struct node **at = &self->shelf[random_below(&self->random, SHELF)];
        if (held[i]) fh_gc_store(heap, at, held[i]);
        if (random_below(&self->random, 3) == 0) held[i] = node_make(random_next(&self->random));
        yield(self);
        node_check(held[i]);
    }
}

static void coroutine_main(unsigned low, unsigned high)
{
    struct coroutine *self = (struct coroutine *)((uintptr_t)low | (uintptr_t)high << 32);
    for (;;) coroutine_step(self);
}

static void coroutine_make(struct coroutine *coroutine, ucontext_t *back, struct node **shelf,
                           uint64_t seed)
{
    coroutine->stack = calloc(1, STACK);
    coroutine->back = back;
    coroutine->shelf = shelf;
    coroutine->random = (struct random){seed};
    getcontext(&coroutine->context);
    coroutine->context.uc_stack.ss_sp = coroutine->stack;
    coroutine->context.uc_stack.ss_size = STACK;
    coroutine->context.uc_link = back;
    uintptr_t p = (uintptr_t)coroutine;
    makecontext(&coroutine->context, (void (*)(void))coroutine_main, 2, (unsigned)p,
                (unsigned)(p >> 32));
    EXPECT(fh_gc_root_range(heap, coroutine->stack, STACK) == 0, "a range");
    EXPECT(fh_gc_root_range(heap, coroutine, sizeof *coroutine) == 0, "its saved registers");
}

static void *thread_main(void *argument)
{
    static struct node *shelves[THREADS][SHELF];
    struct coroutine *all = calloc(COROUTINES, sizeof *all);
    ucontext_t back;
    uintptr_t number = (uintptr_t)argument;
    struct random random = {number};
    for (int i = 0; i < COROUTINES; i++)
        coroutine_make(&all[i], &back, shelves[number], number * 100 + (uint64_t)i);
    while (!stop) {
        struct coroutine *next = &all[random_below(&random, COROUTINES)];
        fh_gc_stack_switch();
        swapcontext(&back, &next->context);
    }
    for (int i = 0; i < COROUTINES; i++) {
        EXPECT(fh_gc_root_remove(heap, all[i].stack) == 0, "removed");
        EXPECT(fh_gc_root_remove(heap, &all[i]) == 0, "removed");
        free(all[i].stack);
    }
    free(all);
    return NULL;
}

int main(int argc, char **argv)
{
    EXPECT(argc == 3, "arguments: policy, collections");
    struct fh_gc_options options = {.policy = (uint32_t)atoi(argv[1]),
                                    .debug = FH_GC_POISON | FH_GC_RANDOM_DELAY};
    pthread_t thread[THREADS];
    heap = fh_gc_create(&options);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, thread_main, (void *)i);
    for (int i = atoi(argv[2]); i > 0; i--) fh_gc_collect(heap, FH_GC_FULL);
    stop = true;
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    fh_gc_destroy(heap);
    return 0;
}
