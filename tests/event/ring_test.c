/*
 * The ring of events. What could break: a reader gets an event that nobody put, half of two, or the same
 * twice; an event is lost and not counted; a writer that is a whole ring behind spoils a later event.
 */
#include "event/ring.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "kit/random.h"
#include "kit/unit.h"

static struct fh_event_ring ring;

static void ring_clear(void)
{
    memset(&ring, 0, sizeof ring);
}

/* All of an event follows from who put it and its number there. */
static struct event event_of(uint8_t source, uint32_t number)
{
    uint64_t value = number * 0x9e3779b97f4a7c15ull + source;
    return (struct event){.kind = (uint8_t)(1 + number % 63),
                          .source = source,
                          .detail = (uint16_t)(value >> 40),
                          .number = number,
                          .time_ns = ~value,
                          .value = value};
}

static bool event_equal(const struct event *a, const struct event *b)
{
    return a->kind == b->kind && a->source == b->source && a->detail == b->detail &&
           a->number == b->number && a->time_ns == b->time_ns && a->value == b->value;
}

static void put(uint8_t source, uint32_t number)
{
    struct event event = event_of(source, number);
    ring_put(&ring, &event);
}

static void expect(uint64_t *position, uint8_t source, uint32_t number, uint64_t lost_before)
{
    struct event event, expected = event_of(source, number);
    uint64_t lost = 0;
    assert_true(ring_next(&ring, position, &event, &lost));
    assert_true(event_equal(&event, &expected));
    assert_int_equal(lost, lost_before);
}

static void expect_none(uint64_t *position)
{
    struct event event;
    uint64_t lost = 0, before = *position;
    assert_false(ring_next(&ring, position, &event, &lost));
    assert_int_equal(*position, before);
    assert_int_equal(lost, 0);
}

static void test_ring__gives_back_what_was_put(void **state)
{
    (void)state;
    uint64_t position = 0;
    ring_clear();
    expect_none(&position);
    for (uint32_t i = 0; i < 10; i++) put(3, i);
    for (uint32_t i = 0; i < 10; i++) expect(&position, 3, i, 0);
    expect_none(&position);
    put(255, UINT32_MAX);
    expect(&position, 255, UINT32_MAX, 0);
    assert_int_equal(ring_position(&ring), 11);
}

static void test_ring__drops_the_oldest(void **state)
{
    (void)state;
    uint64_t position = 2;
    ring_clear();
    for (uint32_t i = 0; i < FH_EVENTS + 100; i++) put(1, i);
    expect(&position, 1, 100, 98);
    for (uint32_t i = 101; i < FH_EVENTS + 100; i++) expect(&position, 1, i, 0);
    expect_none(&position);
    assert_int_equal(ring.dropped, 0);
}

/* A writer that stopped in the middle of its record: others go on, whole rings further, and leave it. */
static void test_ring__a_writer_that_stands_spoils_nothing(void **state)
{
    (void)state;
    uint64_t position = 0;
    ring_clear();
    put(1, 0);
    ring.next++;
    ring.record[1].sequence = 2 * 1 + 1;
    expect(&position, 1, 0, 0);
    expect_none(&position); /* it may still come */
    put(1, 2);
    expect(&position, 1, 2, 1); /* it comes too late */
    for (uint32_t i = 3; i < 2 * FH_EVENTS; i++) put(1, i);
    assert_int_equal(ring.record[1].sequence, 3);
    assert_int_equal(ring.dropped, 1);
    position = FH_EVENTS;
    expect(&position, 1, FH_EVENTS, 0);
    expect(&position, 1, FH_EVENTS + 2, 1);
    ring.record[1].sequence = 4; /* it ends at last: nobody takes it for what is due there */
    position = FH_EVENTS + 1;
    expect(&position, 1, FH_EVENTS + 2, 1);
}

/* One that took its ticket and comes to its record only when a later event is there. */
static void test_ring__a_late_writer_drops_its_event(void **state)
{
    (void)state;
    uint64_t position = 0;
    ring_clear();
    for (uint32_t i = 0; i < FH_EVENTS + 1; i++) put(1, i);
    ring.next = 0;
    put(2, 0);
    ring.next = FH_EVENTS + 1;
    assert_int_equal(ring.dropped, 1);
    expect(&position, 1, 1, 1);
    position = FH_EVENTS;
    expect(&position, 1, FH_EVENTS, 0);
}

/* ---- several writers, one reader ---------------------------------------------------------------------------- */

enum { WRITERS = 4, EVENTS = 40000 };
static _Atomic uint32_t writers_left;

static void *writes(void *argument)
{
    struct random random = {.state = (uintptr_t)argument};
    for (uint32_t i = 0; i < EVENTS; i++) {
        put((uint8_t)(uintptr_t)argument, i);
        if (random_chance(&random, 500)) sched_yield(); /* so that the reader keeps up, at times */
    }
    writers_left--;
    return NULL;
}

struct reader {
    uint64_t position, seen, lost;
    int64_t last[WRITERS];
};

static void read_all(struct reader *r)
{
    struct event event;
    while (ring_next(&ring, &r->position, &event, &r->lost)) {
        struct event expected = event_of(event.source, event.number);
        assert_true(event_equal(&event, &expected));
        assert_in_range(event.source, 0, WRITERS - 1);
        assert_true((int64_t)event.number > r->last[event.source]);
        r->last[event.source] = event.number;
        r->seen++;
        assert_int_equal(r->seen + r->lost, r->position);
    }
}

static void test_ring__several_writers_and_a_reader(void **state)
{
    (void)state;
    pthread_t thread[WRITERS];
    struct reader reader = {0};
    ring_clear();
    memset(reader.last, 0xff, sizeof reader.last);
    writers_left = WRITERS;
    for (uintptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, writes, (void *)i), 0);
    while (writers_left) read_all(&reader);
    for (unsigned i = 0; i < WRITERS; i++) pthread_join(thread[i], NULL);
    read_all(&reader);
    print_message("%llu read, %llu lost, %llu never written\n", (unsigned long long)reader.seen,
                  (unsigned long long)reader.lost, (unsigned long long)ring.dropped);
    assert_true(reader.seen >= FH_EVENTS - ring.dropped);
    assert_int_equal(ring_position(&ring), WRITERS * EVENTS);
    /* All are read or lost, unless the last of all were never written. */
    assert_in_range(reader.seen + reader.lost, WRITERS * EVENTS - ring.dropped, WRITERS * EVENTS);
}

static void test_ring__can_be_found_from_outside(void **state)
{
    (void)state;
    assert_int_equal(fh_registry.events, (uintptr_t)&event_ring);
    ring_init(&event_ring);
    assert_string_equal(event_ring.magic, FH_EVENTS_MAGIC);
    assert_int_equal(event_ring.version, FH_EVENTS_VERSION);
    assert_int_equal(event_ring.size, sizeof event_ring);
    assert_int_equal(event_ring.records, FH_EVENTS);
    assert_int_equal(event_ring.record_size, sizeof *event_ring.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring__gives_back_what_was_put),
        cmocka_unit_test(test_ring__drops_the_oldest),
        cmocka_unit_test(test_ring__a_writer_that_stands_spoils_nothing),
        cmocka_unit_test(test_ring__a_late_writer_drops_its_event),
        cmocka_unit_test(test_ring__several_writers_and_a_reader),
        cmocka_unit_test(test_ring__can_be_found_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
