/*
 * roots: where marking begins: threads, static data, what programs register.
 *
 *      roots.c     stacks, registers, registered ranges, handles, pins
 *      modules.c   static data, and that no module goes while it is looked at
 */
#ifndef GC_ROOTS_H
#define GC_ROOTS_H

#include <freehold/gc.h>

#include "gc/visit.h"

struct gc_thread;

#define ROOTS_PART (128 * KIB) /* of a root that is visited at a time */

struct root_range {
    uint64_t number;       /* its own */
    uintptr_t start, size; /* bytes */
    fh_gc_trace_fn *trace; /* instead of a range */
    bool exact;
};

void roots_init(struct gc_heap *heap);
void roots_finish(struct gc_heap *heap);

/* The roots of everything: threads, registered, static data. For each the visitor's range or
 * slot. */
void roots_visit(struct gc_heap *heap, struct fh_gc_visitor *visitor);
void roots_visit_shared(struct gc_heap *heap, struct fh_gc_visitor *visitor);
void roots_visit_thread(struct gc_thread *thread, struct fh_gc_visitor *visitor);

/* What keeps references that a thread has no name for: registers and stack. */
void roots_visit_stack(struct gc_thread *thread, struct fh_gc_visitor *visitor);

/* ---- modules.c ------------------------------------------------------------------------------- */

/* Calls the function while no module can come or go. Who stops threads to look at roots does it
 * inside: the world lock is never held by who comes here. Not busy. */
typedef void modules_fn(void *data);
void modules_hold(modules_fn *function, void *data);

/* Static data of all modules, part by part. */
void modules_visit(struct fh_gc_visitor *visitor);

/* Around any other look at the linker's list, and a fork: nobody is at it then, or the answer is
 * false. */
void modules_enter(void);
void modules_leave(void);
bool modules_fork_prepare(void);
void modules_fork_end(void);

/* The module that this code is in stays, whatever dlclose says. Not busy; takes the linker's
 * lock. */
void modules_keep(const void *code);

#endif
