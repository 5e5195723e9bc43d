/*
 * What could break: a fiber's stack is not searched while it runs, or that of who made it is searched from the wrong
 * end; a collection reads where no stack is; a walk over objects finds threads at work.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "libgc/kit.h"

#define STACK_SIZE ((size_t)256 << 10)

static ucontext_t outside, inside;
static struct GC_stack_base bottom_outside;
static void *handle;

/* What the stack that is left holds, for whoever pushes it: from its pointer to its end. */
static char *left_low, *left_high;
static GC_push_other_roots_proc push_before;

static void push_left(void)
{
    if (left_low) GC_push_all_eager(left_low, left_high);
    if (push_before) push_before();
}

static void *stack_make(void)
{
    void *stack =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED);
    return stack;
}

static void *set_bottom(void *data)
{
    GC_set_stackbottom(handle, data);
    return NULL;
}

/* From one stack to another: what the one that is left holds is pushed, the other is searched. */
static __attribute__((noinline)) void stack_switch(ucontext_t *from, ucontext_t *to,
                                                   char *from_high, char *to_high)
{
    struct GC_stack_base bottom = {to_high};
    left_high = from_high;
    left_low = (char *)((uintptr_t)__builtin_frame_address(0) - 512);
    if (left_low < from_high - STACK_SIZE && from_high != bottom_outside.mem_base)
        left_low = from_high - STACK_SIZE;
    GC_call_with_alloc_lock(set_bottom, &bottom);
    swapcontext(from, to);
}

static char *fiber_high;
static int fiber_bad;

static void **list_make(int length, int number)
{
    void **list = NULL;
    for (int i = 0; i < length; i++) {
        void **node = GC_MALLOC(4 * sizeof *node);
        node[0] = list;
        node[1] = (void *)HIDDEN(number + i);
        list = node;
    }
    return list;
}

static int list_is_whole(void **list, int length, int number)
{
    for (int i = length - 1; i >= 0; i--, list = list[0])
        if (list == NULL || list[1] != (void *)HIDDEN(number + i)) return 0;
    return list == NULL;
}

static void disturb(void)
{
    collect();
    for (int i = 0; i < 20000; i++) memset(GC_MALLOC(32), 0xff, 32);
    collect();
}

static void fiber(void)
{
    for (int round = 0; round < 5; round++) {
        void **list = list_make(2000, round);
        disturb(); /* on this stack */
        fiber_bad |= !list_is_whole(list, 2000, round);
        stack_switch(&inside, &outside, fiber_high, bottom_outside.mem_base);
        fiber_bad |= !list_is_whole(list, 2000, round);
    }
    left_low = NULL;
    struct GC_stack_base bottom = bottom_outside;
    GC_call_with_alloc_lock(set_bottom, &bottom);
}

static void fibers_run(void)
{
    char *stack = stack_make();
    handle = GC_get_my_stackbottom(&bottom_outside);
    fiber_high = stack + STACK_SIZE;
    fiber_bad = 0;
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = STACK_SIZE;
    inside.uc_link = &outside;
    makecontext(&inside, fiber, 0);
    for (int round = 0; round < 6; round++) {
        void **list = list_make(1000, 100 * round);
        stack_switch(&outside, &inside, bottom_outside.mem_base, fiber_high);
        if (round < 5) disturb(); /* on the first stack again; the fiber's is pushed */
        assert_true(list_is_whole(list, 1000, 100 * round));
    }
    assert_false(fiber_bad);
    munmap(stack, STACK_SIZE);
    collect();
}

static void push_start(void)
{
    push_before = GC_get_push_other_roots();
    GC_set_push_other_roots(push_left);
}

static void test_fiber__of_the_first_thread(void **state)
{
    (void)state;
    push_start();
    fibers_run();
    GC_set_push_other_roots(push_before);
}

static void *work(void *argument)
{
    fibers_run();
    return argument;
}

static void test_fiber__of_another_thread(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    push_start();
    assert_int_equal(GC_pthread_create(&thread, NULL, work, &thread), 0);
    assert_int_equal(GC_pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &thread);
    GC_set_push_other_roots(push_before);
}

static void test_fiber__the_bottom_is_told(void **state)
{
    (void)state;
    struct GC_stack_base mine, asked;
    assert_non_null(GC_get_my_stackbottom(&mine));
    assert_int_equal(GC_get_stack_base(&asked), GC_SUCCESS);
    assert_true((char *)mine.mem_base > (char *)&mine);
    assert_true((char *)asked.mem_base > (char *)&mine);
}

/* ---- a walk over all objects ---------------------------------------------------------------------------------- */

static int stop;
static void *kept[MANY];
static int found;
static long made, made_first, made_last; /* by the others; as of the first object and the last */

static void *churn(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        void **p = GC_MALLOC(16 + (size_t)random() % 300);
        p[0] = p;
        __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    }
    return argument;
}

static void count_kept(void *object, size_t size, void *data)
{
    assert_ptr_equal(data, &found);
    made_last = __atomic_load_n(&made, __ATOMIC_RELAXED);
    if (made_first < 0) made_first = made_last;
    if (size < 100) return;
    for (int i = 0; i < MANY; i++) found += kept[i] == object;
}

static void *enumerate(void *data)
{
    GC_enumerate_reachable_objects_inner(count_kept, data);
    return NULL;
}

/* In the original others go on with what they have of their own. */
static int others_stand(void)
{
    Dl_info info;
    return dladdr((void *)(uintptr_t)GC_gcollect, &info) && strstr(info.dli_fname, "/lib/gc/");
}

/* Each object that was reached is met once, while others allocate. */
static void test_fiber__every_object_while_others_allocate(void **state)
{
    (void)state;
    pthread_t thread[2];
    for (int i = 0; i < MANY; i++) kept[i] = GC_MALLOC(200);
    void **many = list_make(20000, 0); /* so that a walk takes a while */
    GC_gcollect();
    for (int i = 0; i < 2; i++) GC_pthread_create(&thread[i], NULL, churn, NULL);
    for (int round = 0; round < 50; round++) {
        found = 0;
        made_first = -1;
        GC_call_with_alloc_lock(enumerate, &found);
        assert_int_equal(found, MANY);
        if (others_stand()) assert_int_equal(made_first, made_last);
        if (round % 10 == 0) GC_gcollect();
    }
    assert_true(list_is_whole(many, 20000, 0));
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) GC_pthread_join(thread[i], NULL);
}

int main(void)
{
    GC_INIT();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fiber__the_bottom_is_told),
        cmocka_unit_test(test_fiber__of_the_first_thread),
        cmocka_unit_test(test_fiber__of_another_thread),
        cmocka_unit_test(test_fiber__every_object_while_others_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
