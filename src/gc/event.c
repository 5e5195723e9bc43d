/*
 * Events: each phase of a collection, and what threads ran into, as it happens. All go into the
 * process's ring (event/ring.h), whether anybody looks or not: some ten a collection, thirty ns
 * each. A program reads them back by fh_gc_events, or listens.
 */
#include "event/ring.h"
#include "gc/call.h"
#include "gc/event.h"
#include "gc/heap.h"

/* What it must not do is noticed. */
static void listener_call(fh_gc_listener_fn *listener, const struct fh_gc_event *event, void *data)
{
    struct gc_thread *self = gc_local.thread;
    uintptr_t limits[FH_GC_HEAPS];
    if (self) thread_enter(self); /* nobody changes its contexts */
    contexts_close(limits);
    gc_local.listening = true;
    listener(event, data);
    gc_local.listening = false;
    contexts_open(limits);
    if (self) thread_leave(self);
}

void gc_event_of(struct gc_heap *heap, enum fh_gc_event_kind kind, unsigned detail, uint64_t value)
{
    struct event event = {(uint8_t)kind,           heap->number, (uint16_t)detail,
                          LOAD(&heap->collection), os_time_ns(), value};
    ring_put(&event_ring, &event);
    fh_gc_listener_fn *listener = LOAD_ACQUIRE(&heap->listener);
    if (listener == NULL) return;
    struct fh_gc_event public = {event.kind, event.detail, event.number, event.time_ns, value};
    listener_call(listener, &public, heap->listener_data);
}

void gc_event(struct gc_heap *heap, enum fh_gc_event_kind kind, uint64_t value)
{
    gc_event_of(heap, kind, 0, value);
}

/* What is in the ring from before is another heap's, which had this number. */
void events_init(struct gc_heap *heap)
{
    ring_init(&event_ring);
    heap->events_from = ring_position(&event_ring);
}

GC_PUBLIC void fh_gc_listen(struct fh_gc_heap *public, fh_gc_listener_fn *listener, void *data)
{
    struct gc_heap *heap = heap_of(public);
    STORE_RELEASE(&heap->listener, NULL);
    heap->listener_data = data;
    STORE_RELEASE(&heap->listener, listener); /* partner: gc_event_of */
}

GC_PUBLIC size_t fh_gc_events(struct fh_gc_heap *public, struct fh_gc_event *events, size_t most,
                              uint64_t *position)
{
    const struct gc_heap *heap = heap_of(public);
    uint64_t at = base_max(*position, heap->events_from), next = at, lost = 0;
    struct event event;
    size_t count = 0;
    if (most == 0) at = ring_position(&event_ring);
    for (; count < most && ring_next(&event_ring, &next, &event, &lost); at = next) {
        if (lost) {
            events[count++] = (struct fh_gc_event){FH_GC_EVENT_LOST, 0, 0, event.time_ns, lost};
            lost = 0;
            next--; /* the one that was read is read again */
            continue;
        }
        if (event.source == heap->number)
            events[count++] = (struct fh_gc_event){event.kind, event.detail, event.number,
                                                   event.time_ns, event.value};
    }
    *position = at;
    return count;
}
