/*
 * The lock of four bytes. What could break: two holders at once, and a sleeper whom nobody wakes (a
 * hang, which CTest's time limit reports).
 */
#include "base/lock.h"

#include <pthread.h>
#include <sched.h>

#include "kit/unit.h"

enum { THREADS = 8, TURNS = 20000 };

static struct lock lock;
static unsigned long counter; /* guarded by lock; torn if it is not */

static void test_lock__has_one_holder(void **state)
{
    (void)state;
    assert_false(lock_is_held(&lock));
    lock_take(&lock);
    assert_true(lock_is_held(&lock));
    assert_false(lock_try(&lock));
    lock_give(&lock);
    assert_false(lock_is_held(&lock));
    assert_true(lock_try(&lock));
    lock_give(&lock);
}

static void test_lock__reset_forgets_holder_and_sleepers(void **state)
{
    (void)state;
    for (uint32_t word = 0; word <= 2; word++) {
        STORE(&lock.word, word);
        lock_reset(&lock);
        assert_true(lock_try(&lock));
        lock_give(&lock);
    }
}

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < TURNS; i++) {
        lock_take(&lock);
        counter++;
        if (i % 500 == 0) sched_yield(); /* lose the processor while holding it: others sleep */
        lock_give(&lock);
    }
    return NULL;
}

static void test_lock__keeps_threads_apart(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    counter = 0;
    for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, count, NULL);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    assert_int_equal(counter, THREADS * TURNS);
    assert_false(lock_is_held(&lock));
}

static void *take_once(void *unused)
{
    (void)unused;
    lock_take(&lock);
    counter++;
    lock_give(&lock);
    return NULL;
}

/* Waits until somebody sleeps on it (state 2), then gives: the sleeper must wake. */
static void test_lock__wakes_who_sleeps(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        pthread_t thread;
        counter = 0;
        lock_take(&lock);
        pthread_create(&thread, NULL, take_once, NULL);
        while (LOAD(&lock.word) != 2) sched_yield();
        assert_int_equal(counter, 0);
        lock_give(&lock);
        pthread_join(thread, NULL);
        assert_int_equal(counter, 1);
    }
}

/* Given up on, the lock is the holder's as before; free, it is had at once. */
static void test_lock__is_waited_for_no_longer_than_said(void **state)
{
    (void)state;
    pthread_t thread;
    lock_take(&lock);
    assert_false(lock_take_within(&lock, 0));
    assert_false(lock_take_within(&lock, 20));
    counter = 0;
    pthread_create(&thread, NULL, take_once, NULL);
    while (LOAD(&lock.word) != 2) sched_yield();
    lock_give(&lock);
    pthread_join(thread, NULL);
    assert_int_equal(counter, 1);
    assert_true(lock_take_within(&lock, 0));
    assert_true(lock_is_held(&lock));
    lock_give(&lock);
    assert_false(lock_is_held(&lock));
}

static void *take_within(void *got)
{
    *(bool *)got = lock_take_within(&lock, 60000);
    if (*(bool *)got) lock_give(&lock);
    return NULL;
}

static void test_lock__is_had_when_it_is_given_in_time(void **state)
{
    (void)state;
    pthread_t thread;
    bool got = false;
    lock_take(&lock);
    pthread_create(&thread, NULL, take_within, &got);
    while (LOAD(&lock.word) != 2) sched_yield();
    lock_give(&lock);
    pthread_join(thread, NULL);
    assert_true(got);
    assert_false(lock_is_held(&lock));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock__has_one_holder),
        cmocka_unit_test(test_lock__reset_forgets_holder_and_sleepers),
        cmocka_unit_test(test_lock__keeps_threads_apart),
        cmocka_unit_test(test_lock__wakes_who_sleeps),
        cmocka_unit_test(test_lock__is_waited_for_no_longer_than_said),
        cmocka_unit_test(test_lock__is_had_when_it_is_given_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
