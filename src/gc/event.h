/*
 * event: facts out: each phase of a collection, and what threads ran into, as it happens; lines for
 * who looks at the terminal.
 */
#ifndef GC_EVENT_H
#define GC_EVENT_H

#include <freehold/gc.h>

#include "os/say.h"

struct gc_heap;

FH_INLINE void gc_say(const char *text)
{
    os_say("freehold: gc", text);
}

/* `detail`: what the kind of event says it is. */
void gc_event_of(struct gc_heap *heap, enum fh_gc_event_kind kind, unsigned detail, uint64_t value);
void gc_event(struct gc_heap *heap, enum fh_gc_event_kind kind, uint64_t value);

void events_init(struct gc_heap *heap);

#endif
