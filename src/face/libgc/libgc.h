/*
 * libgc: the ABI of the Boehm collector, version 8.2, over our heaps: what programs get that were linked to
 * libgc.so.1 and find this file in its place.
 *
 * There is one heap, of policy FH_GC_WATCHED, whose objects do not move. What the ABI calls a kind is a type of gc/;
 * everything that a program registers (roots, finalizers, links, uncollectable objects) lives in tables here, which
 * the collector sees through two doors: a root function (roots.c) and the heap's weak hook (weak.c).
 *
 *      malloc.c   objects, by size; freed, resized           roots.c    where marking begins
 *      kind.c     kinds, descriptors, mark procedures        thread.c   threads, stacks, blocking
 *      typed.c    objects with exact layouts                 collect.c  collections, heap size, callbacks
 *      debug.c    objects with a header                      settings.* what can be set
 *      finalize.c, link.c, weak.c   what marking does not follow        stats.c   numbers
 *      toggleref.c, disclaim.c      the same, more
 *      start.c    the heap, fork                             suspend.c  threads that the program suspends
 *      environment.c   variables of the environment          leak.c     what was lost and not freed
 *      log.c      lines and dumps                            fault.c    procedures of the program's that fault
 *      twin.c     another libgc in the process               report.c   for `freehold gc run`
 *      gccpp.cc, gctba.cc   libgccpp.so.1 and libgctba.so.1, which use this one as programs do
 *
 * Every function may be the program's first: those that need the heap call libgc_heap(), which makes it.
 *
 * Locks: libgc.lock guards the tables. Its holder is busy (thread_enter), so the collector, who looks at the tables
 * while threads stand, needs no lock. A callback of the program's runs without it, but for those of which the ABI
 * says otherwise (GC_call_with_alloc_lock).
 */
#ifndef FACE_LIBGC_LIBGC_H
#define FACE_LIBGC_LIBGC_H

#include <stddef.h>

#include "gc/gc.h"
#include "gc/index.h"

#define GC_API __attribute__((visibility("default")))

typedef uintptr_t GC_word;

/* What functions return. */
enum { GC_SUCCESS = 0, GC_DUPLICATE = 1, GC_NO_MEMORY = 2, GC_UNIMPLEMENTED = 3, GC_NOT_FOUND = 4 };

/* Kinds that there always are; then those that programs make. */
enum { KIND_ATOMIC, KIND_NORMAL, KIND_UNCOLLECTABLE, KIND_ATOMIC_UNCOLLECTABLE, KIND_FIRST };

enum { KINDS = 24 };

/* ---- start.c ------------------------------------------------------------------------------------------------ */

struct libgc {
    struct gc_heap *heap; /* NULL before the first call */
    struct lock lock;
};

extern struct libgc libgc;

FH_COLD struct gc_heap *libgc_start(void);

/* The heap is to be marked beside the program from its first byte on, by any way that there is. */
void watch_ask(struct gc_heap *heap);

FH_INLINE struct gc_heap *libgc_heap(void)
{
    struct gc_heap *heap = __atomic_load_n(&libgc.heap, __ATOMIC_ACQUIRE);
    return LIKELY(heap != NULL) ? heap : libgc_start();
}

/* A procedure of the program's that the collector calls just now. */
struct called {
    const char *what; /* NULL: none */
    uintptr_t procedure;
    const void *object; /* or NULL */
};

/* A thread's own. */
struct libgc_local {
    struct gc_freed freed;
    size_t freed_bytes;         /* not told yet, of */
    uint32_t freed_cycle;       /* this cycle */
    struct thread_info *info;   /* thread.c */
    bool finalizing;            /* it runs finalizers */
    _Atomic uint32_t suspended; /* suspend.c: 1, by the program */
    _Atomic bool stands;        /* for that */
    struct called called;       /* fault.c */
};

extern _Thread_local struct libgc_local libgc_local __attribute__((tls_model("initial-exec")));

/* The calling thread, not stopped until libgc_leave. NULL in a procedure of the program's that the collector calls: all
 * stand, and it may be on a thread of the library, which is not attached and must not be, as that waits for the
 * collection. For what such procedures ask: what a pointer is, and numbers. */
struct gc_thread *libgc_enter(void);
void libgc_leave(struct gc_thread *thread);

/* The tables' lock; the holder is not stopped. */
struct gc_thread *libgc_lock(void);
void libgc_unlock(struct gc_thread *thread);

/* "freehold: libgc: text", and with a number. */
void libgc_say(const char *text);
_Noreturn FH_COLD void libgc_stop(const char *text);

/* ---- kind.c ------------------------------------------------------------------------------------------------- */

/* The type of a kind's objects; NULL if there is no such kind. */
struct fh_gc_type *kind_type(unsigned kind);
void kinds_init(void);

/* A mark procedure whose number the program chose. */
void kind_set_proc(unsigned number, void *proc);

/* The kind of an object of this type, KIND_NORMAL for what has none. */
unsigned kind_of_type(const struct fh_gc_type *type);

/* Whether objects of this type stay until they are freed. */
bool type_is_uncollectable(const struct fh_gc_type *type);

/* A descriptor says where an object's references are: a word with one of these in its lowest bits (gc_mark.h). */
enum { DS_LENGTH, DS_BITMAP, DS_PROC, DS_PER_OBJECT, DS_TAGS = 3, INDIRECT_BIAS = 16 };

/* References of an object with such a descriptor. */
void descriptor_visit(GC_word descriptor, void *object, size_t size, struct fh_gc_visitor *visitor);

/* ---- malloc.c ------------------------------------------------------------------------------------------------ */

/* An object with room for `size` bytes and the extra ones; NULL, or what the program's function for it says, when
 * memory is out. */
void *libgc_allocate(size_t size, struct fh_gc_type *type);

void *GC_malloc(size_t size);
void *GC_malloc_atomic(size_t size);
void *GC_malloc_uncollectable(size_t size);
void *GC_malloc_atomic_uncollectable(size_t size);
void *GC_generic_malloc(size_t size, int kind);
void *GC_realloc(void *old, size_t size);
void GC_free(void *p);
void *GC_base(void *p);
size_t GC_size(const void *p);
int GC_get_kind_and_size(const void *p, size_t *size);
int GC_is_heap_ptr(const void *p);
unsigned GC_new_kind(void **list, GC_word descriptor, int adds_size, int clear);

/* The first byte of the live object that p points into, or NULL. The caller is busy. */
uint8_t *libgc_object(struct gc_heap *heap, const void *p);

/* Bytes that the program has freed itself since the last collection, as far as threads have told. */
size_t freed_since_collection(void);
void freed_forget(void);

/* Uncollectable objects, for the root function. */
void uncollectable_visit(struct fh_gc_visitor *visitor);
void uncollectable_init(void);

/* ---- finalize.c, link.c, weak.c -------------------------------------------------------------------------------- */

typedef void finalizer_fn(void *object, void *data);

enum finalizer_order { ORDER_NORMAL, ORDER_IGNORE_SELF, ORDER_NONE, ORDER_UNREACHABLE };

void boehm_finalizers_init(void);
void finalizer_set(void *object, finalizer_fn *function, void *data, finalizer_fn **old,
                   void **old_data, enum finalizer_order order);
void finalizers_visit(struct fh_gc_visitor *visitor);

/* Called by who collects: what is not marked and waits for that is queued, and marked. */
void finalizers_due(struct gc_heap *heap);

/* Runs or tells of finalizers that are due, as the program wishes. Not with locks. */
void finalizers_notify(void);

void boehm_links_init(void);
void links_clear_short(struct gc_heap *heap);
void links_clear_long(struct gc_heap *heap);

void weak_hook(struct gc_heap *heap);

/* toggleref.c: what the program says of its toggle references; those to be kept; those that go. */
void togglerefs_ask(void);
void togglerefs_visit(struct fh_gc_visitor *visitor);
void togglerefs_drop(struct gc_heap *heap);

/* disclaim.c: kinds whose objects are shown to the program before they go. */
void disclaim_dead(struct gc_heap *heap);

/* ---- roots.c ---------------------------------------------------------------------------------------------------- */

void roots_start(struct gc_heap *heap);

/* ---- collect.c --------------------------------------------------------------------------------------------------- */

void collect_start(struct gc_heap *heap);
void GC_gcollect(void);

/* Bytes in objects, as far as threads have told. */
size_t libgc_used(const struct gc_heap *heap);

/* The program's functions for when memory is out, and for what it should know. */
void *libgc_out_of_memory(size_t size);
void libgc_warn(const char *format, GC_word argument);

/* Collections are switched off and on as GC_dont_gc says, which programs write to. */
void collect_sync(struct gc_heap *heap);

/* ---- environment.c ------------------------------------------------------------------------------------------------ */

void settings_from_environment(struct fh_gc_options *options);
extern bool environment_ignores_gcj; /* GC_IGNORE_GCJ_INFO */
extern bool environment_aborts_on_leak;
extern unsigned
    environment_watch; /* for tests: the ways of os/watch.h that may be tried; 0: as usual */

/* ---- log.c ---------------------------------------------------------------------------------------------------------- */

/* Where the library writes: to standard output and error, or to a file that the environment names. */
extern struct log_settings {
    int out, error, log; /* file descriptors */
    bool collections;    /* a line for each */
    bool dumps;          /* GC_dump at each */
    bool maps;           /* /proc/self/maps at each */
} log_settings;

void log_start(void);
void log_stopped(uint64_t ns);
void log_collection(const struct gc_heap *heap);

/* ---- leak.c ---------------------------------------------------------------------------------------------------------- */

/* Called by who collects, when all that is reachable is marked: what was lost is kept until it is reported. */
void leaks_find(struct gc_heap *heap);
void leaks_visit(struct fh_gc_visitor *visitor);

/* Says what was found. Not with locks. */
void leaks_report(void);
void leaks_at_exit(void);

/* gc_free, in this mode: that the object was freed must not be forgotten. */
void leaks_free(void *p);

/* debug.c: "0x... (file:line, sz= N, NORMAL)" for an object made there; false for others. */
bool debug_print(void *object, const char *kind);

/* Looks for what was written beyond the ends of such objects. Threads stand, and nothing of this cycle is given up yet. */
void debug_check_all(struct gc_heap *heap);

/* ---- fault.c ---------------------------------------------------------------------------------------------------------- */

/* While threads stand and the program's procedures are called. */
void fault_watch(bool on);

FH_INLINE void called_begin(const char *what, uintptr_t procedure, const void *object)
{
    libgc_local.called.procedure = procedure;
    libgc_local.called.object = object;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    libgc_local.called.what = what;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

FH_INLINE void called_end(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    libgc_local.called.what = NULL;
}

/* ---- twin.c ------------------------------------------------------------------------------------------------------------ */

/* Says, once, if another library of this ABI is there. */
void twins_look(void);

/* Whether the variables of the ABI are this library's own: the linker may have bound them to those of another. */
bool twins_have_variables(void);

/* ---- thread.c ------------------------------------------------------------------------------------------------------ */

void threads_start(void);
void stackbottom_sync(void);

/* suspend.c: at the end of a wait the thread stands if it was suspended meanwhile. */
void suspend_check(void);
void suspend_fork_child(void);

/* Before gc/ has a handler for its signal, and after. */
void signal_note_before(void);
void signal_start(void);

/* ---- the variables of the ABI --------------------------------------------------------------------------------------- */

typedef void *oom_fn(size_t size);
typedef void plain_fn(void);
typedef void resize_fn(GC_word size);
typedef void event_fn(int event);
typedef void thread_event_fn(int event, void *thread);
typedef int stop_fn(void);
typedef void warn_fn(char *text, GC_word argument);
typedef void abort_fn(const char *text);
typedef void object_callback_fn(void *object);

struct time_limit {
    unsigned long ms, ns;
};

#define BOTH(type, name, standard) extern GC_API type GC_##name;
#define DATA(type, name, standard) extern GC_API type GC_##name;
#define CALLS(type, name, standard) extern type setting_##name;
#include "face/libgc/settings.def"
#undef BOTH
#undef DATA
#undef CALLS

extern _Atomic bool finalizers_wait; /* something is queued and nobody was told */
extern _Atomic bool leaks_wait;      /* the same, of leaks */

/* What a collection has left to be done where the program may be called; and who was suspended while he was busy, which
 * in a thread that does nothing but collect is always, stands here. */
FH_INLINE void libgc_poll(void)
{
    if (UNLIKELY(LOAD(&leaks_wait))) leaks_report();
    if (UNLIKELY(LOAD(&finalizers_wait))) finalizers_notify();
    if (UNLIKELY(LOAD(&libgc_local.suspended))) suspend_check();
}

#endif
