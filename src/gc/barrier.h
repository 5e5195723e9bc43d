/*
 * barrier: stores that are remembered: slots of old objects, between minor collections; old values,
 * while a cycle goes on. See gc/barrier.c.
 */
#ifndef GC_BARRIER_H
#define GC_BARRIER_H

struct fh_gc_visitor;
struct gc_heap;
struct gc_thread;
struct mutator;

/* Before a slot of ours changes. The thread is busy. */
void slot_will_change(struct gc_heap *heap, struct gc_thread *thread, void **slot,
                      const void *value);

/* An object is kept though the slot it was in may not have been. The thread is busy. */
void shade(struct gc_heap *heap, struct mutator *mutator, void *object);

/* Old values go to the markers. */
void shade_flush(struct gc_heap *heap, struct mutator *mutator);

/* What is in the buffer of a thread that leaves. */
void mutator_flush_log(struct gc_heap *heap, struct mutator *mutator);

/* Slots of old objects that barriers have remembered. */
void remembered_visit(struct gc_heap *heap, struct fh_gc_visitor *visitor);

#endif
