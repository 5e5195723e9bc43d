/* The ring of events. See event/ring.h. */
#include "event/ring.h"

static_assert(sizeof(struct fh_event_record) == 32, "two to a cache line");
static_assert((FH_EVENTS & (FH_EVENTS - 1)) == 0, "positions wrap with it");

struct fh_event_ring event_ring;

void ring_init(struct fh_event_ring *ring)
{
    static const char magic[8] = FH_EVENTS_MAGIC;
    uint64_t word;
    ring->version = FH_EVENTS_VERSION;
    ring->size = sizeof *ring;
    ring->records = FH_EVENTS;
    ring->record_size = sizeof *ring->record;
    __builtin_memcpy(&word, magic, sizeof word);
    __atomic_store_n((uint64_t *)(void *)ring->magic, word, __ATOMIC_RELEASE);
}

static uint64_t what_of(const struct event *event)
{
    return event->kind | (uint64_t)event->source << 8 | (uint64_t)event->detail << 16 |
           (uint64_t)event->number << 32;
}

/* Odd, and this writer's; false if another is at it, or has been with a later event. */
static bool record_claim(struct fh_event_record *record, uint64_t odd)
{
    uint64_t before = __atomic_load_n(&record->sequence, __ATOMIC_RELAXED);
    return !(before & 1) && before < odd &&
           __atomic_compare_exchange_n(&record->sequence, &before, odd, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

void ring_put(struct fh_event_ring *ring, const struct event *event)
{
    uint64_t n = __atomic_fetch_add(&ring->next, 1, __ATOMIC_RELAXED);
    struct fh_event_record *record = &ring->record[n % FH_EVENTS];
    if (!record_claim(record, 2 * n + 1)) {
        __atomic_fetch_add(&ring->dropped, 1, __ATOMIC_RELAXED);
        return;
    }
    atomic_thread_fence(memory_order_release); /* odd before the rest; partner: record_read */
    __atomic_store_n(&record->time_ns, event->time_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&record->value, event->value, __ATOMIC_RELAXED);
    __atomic_store_n(&record->what, what_of(event), __ATOMIC_RELAXED);
    __atomic_store_n(&record->sequence, 2 * n + 2, __ATOMIC_RELEASE); /* partner: record_read */
}

uint64_t ring_position(const struct fh_event_ring *ring)
{
    return __atomic_load_n(&ring->next, __ATOMIC_RELAXED);
}

static bool record_read(const struct fh_event_record *record, uint64_t n, struct event *event)
{
    if (__atomic_load_n(&record->sequence, __ATOMIC_ACQUIRE) != 2 * n + 2) return false;
    uint64_t what = __atomic_load_n(&record->what, __ATOMIC_RELAXED);
    *event = (struct event){
        .kind = (uint8_t)what,
        .source = (uint8_t)(what >> 8),
        .detail = (uint16_t)(what >> 16),
        .number = (uint32_t)(what >> 32),
        .time_ns = __atomic_load_n(&record->time_ns, __ATOMIC_RELAXED),
        .value = __atomic_load_n(&record->value, __ATOMIC_RELAXED),
    };
    atomic_thread_fence(memory_order_acquire); /* what was read before the number again */
    return __atomic_load_n(&record->sequence, __ATOMIC_RELAXED) == 2 * n + 2;
}

bool ring_next(const struct fh_event_ring *ring, uint64_t *position, struct event *event,
               uint64_t *lost)
{
    uint64_t end = ring_position(ring), n = *position;
    if (end > FH_EVENTS && n < end - FH_EVENTS) n = end - FH_EVENTS;
    while (n < end && !record_read(&ring->record[n % FH_EVENTS], n, event)) n++;
    if (n >= end) return false;
    *lost += n - *position;
    *position = n + 1;
    return true;
}
