/*
 * size: when a collection is due, and how large a heap may become. See gc/size.c.
 */
#ifndef GC_SIZE_H
#define GC_SIZE_H

#include <freehold/gc.h>

struct gc_heap;
struct gc_thread;

/* Whether the heap may take `slices` more without a collection; *why is what says no. */
bool size_allows(struct gc_heap *heap, size_t slices, enum fh_gc_why *why);
void size_after_collection(struct gc_heap *heap);

/* Before it, at the end of a cycle: what was allocated while it went on. */
void size_note_cycle(struct gc_heap *heap);

/* Whether enough is young for a minor collection; and how much that is, after a collection that
 * took so many ns of processor time. */
bool size_minor_is_due(const struct gc_heap *heap);
void size_nursery(struct gc_heap *heap, bool minor, uint64_t took);

/* Whether a collection is due soon: so a program that has time may have it now. */
bool size_is_due_soon(const struct gc_heap *heap);

/* Bytes that were found alive, and what came since, outside of the heap too. */
size_t size_in_use(const struct gc_heap *heap);

/* How much of that the next mark would find, in bytes: an estimate. */
size_t size_to_mark(const struct gc_heap *heap);

/* Whether the next collection is to stop the program from its beginning to its end: there is no collector's thread, or so
 * little to mark that it is not worth a cycle beside the program. */
bool size_stops(const struct gc_heap *heap);

/* While a cycle goes on: the heap may grow on, as far again as it was to grow; then threads
 * wait. */
bool size_may_outgrow(const struct gc_heap *heap);

/* Memory outside of the heap has brought what is in use over so many bytes. */
bool size_is_external(const struct gc_heap *heap, size_t over);

/* The heap holds a quarter more than its target, or more than its limit: after a spike. */
bool size_is_too_large(const struct gc_heap *heap);

/* Called with each block that is taken: starts a cycle when it is time; has the thread help with
 * one that is behind. */
void size_pace(struct gc_heap *heap, struct gc_thread *thread);

/* A collection did not make room for so many slices: the target is raised, up to the limit. */
void size_grow(struct gc_heap *heap, size_t slices);

#endif
