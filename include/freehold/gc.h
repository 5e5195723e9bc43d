/*
 * freehold/gc.h - a garbage collector for C programs as they are.
 *
 *      struct node { struct node *left, *right; int value; };
 *      FH_GC_TYPE(node, left, right)
 *
 *      int main(void)
 *      {
 *          struct fh_gc_heap *heap = fh_gc_create(NULL);
 *          struct node *tree = fh_gc_new(heap, node);        zeroed; never freed by hand
 *          tree->left = fh_gc_new(heap, node);               plain pointers, plain stores
 *          fh_gc_destroy(heap);
 *      }
 *
 * Nothing is registered: stacks and registers are searched conservatively (a word that looks like the
 * address of an object, or of its inside, keeps it), static variables too unless switched off, and
 * the fields that a type names are followed exactly. A thread is known to the collector from its
 * first allocation on, or from fh_gc_thread_attach().
 *
 * Stores. Under FH_GC_MARK, the standard policy, and FH_GC_WATCHED a program stores as it likes. Under
 * FH_GC_GENERATIONAL and FH_GC_CONCURRENT every store of a reference into an object, and into a
 * static variable or other root, goes through fh_gc_store(), which costs a load and a predicted
 * branch when nothing is going on. Stores to local variables never do. A program that uses
 * fh_gc_store everywhere runs under every policy.
 *
 * What a reference may be: the address of an object or of any byte inside it, or any other word at
 * all (NULL, a tagged integer, memory of malloc, a static object), which is passed over. References
 * from the objects of one heap to those of another are passed over too, and keep nothing alive.
 *
 * Objects may move, rarely: see FH_GC_COMPACT. Local variables never go stale, since what a stack or
 * register refers to stays where it is; exact references follow, those to an object's inside keep
 * their offset. What the collector does not know of does not follow: an address in memory of malloc
 * that is no root, in another heap's object, in a leaf object, or disguised. An object with such
 * references is to be pinned, or the heap made with no_moving. A field of an exact type that holds the
 * address of an object is taken for a reference, so numbers of any value do not belong there.
 *
 * Where references are found: thread-local variables are searched with the stack, and so are values of
 * pthread_setspecific, those of a thread's first 32 keys (with glibc; later ones are in memory that is no root). A
 * reference that is on its way to a thread which is not attached yet, as the argument of pthread_create, or from one
 * that has ended, as its return value, is in memory of libc: the giver keeps it as well, in a variable of its own or a
 * root, until the taker has it in a variable and is attached.
 *
 * Rules. Unless said otherwise functions may be called from any thread, not from signal handlers,
 * and not from trace functions or listeners. Sizes are in bytes. Allocation fails with NULL and
 * errno; other calls return 0 or a negative errno. What a program must not do ends in a line on
 * stderr and abort. The collector interrupts threads by a signal (FH_GC_SIGNAL) that must not stay
 * blocked; it cuts sleep, poll and the like short (EINTR, or time left: SA_RESTART does not help these); a thread
 * that waits long in the kernel and does not want to be interrupted says so by
 * fh_gc_blocking(). After five seconds of waiting for a thread that does not answer, a line on stderr names it.
 */
#ifndef FREEHOLD_GC_H
#define FREEHOLD_GC_H

/* It uses what GNU C has beyond the standard (__VA_OPT__, address spaces): no warnings about that. */
#pragma GCC system_header

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FH_GC_HEAPS 8 /* at once in a process */
#define FH_GC_SIGNAL SIGURG

struct fh_gc_type;
struct fh_gc_visitor;

/* A heap. What it is to a program matters to the inline functions below only. */
struct fh_gc_heap {
    intptr_t context;     /* of the thread, from its thread pointer */
    uintptr_t marks;      /* plus address / 16: its mark byte */
    uintptr_t logs;       /* plus address / 64: the byte with the log bit of the word there */
    uintptr_t minus_base; /* plus address: from the start of the memory that objects lie in */
    size_t range;         /* of that memory; grows */
};

/* ---- heaps -------------------------------------------------------------------------------- */

enum fh_gc_policy {
    FH_GC_MARK = 0,         /* stop, mark in parallel, sweep lazily; needs no barrier */
    FH_GC_GENERATIONAL = 1, /* as above; most collections look at young objects only */
    FH_GC_CONCURRENT = 2,   /* marks while the program runs; threads are held for their own roots */
    /* Marks while the program runs, and looks again at pages that the kernel has seen written; stops
     * twice, for a short time. Needs no barrier, but Linux 6.7 or soft-dirty bits; without these, and
     * while the heap is small, as FH_GC_MARK. */
    FH_GC_WATCHED = 3,
};

enum fh_gc_sizing {
    FH_GC_GROW = 0, /* collect when the heap has grown by growth_percent since the last time */
    FH_GC_FIXED =
        1, /* collect fully only when `limit` is reached (FH_GC_CONCURRENT: soon will be) */
    FH_GC_ADAPTIVE =
        2, /* MemBalancer: grow with the square root of live size and allocation rate */
};

/* Debugging, bits of fh_gc_options.debug. */
enum fh_gc_debug {
    FH_GC_VERIFY = 1,   /* check the whole heap before and after each collection */
    FH_GC_POISON = 2,   /* overwrite what was freed, and zero it when it is handed out */
    FH_GC_MOVE_ALL = 4, /* every full collection that stops the program moves what may move */
    FH_GC_FENCE = 8,    /* find what is written beyond the end of an object: fh_gc_size is then what
                                was asked for, and each object takes 16 bytes more */
    FH_GC_RANDOM_DELAY = 16, /* delay handshakes at random */
};

/* Called when an allocation would pass the limit and a full collection did not help: true if the caller
 * has freed something or raised the limit and the heap should try again; false: the allocation fails
 * with ENOMEM. Runs on the allocating thread, outside of all locks, may call anything here, and returns.
 * Its own allocations fail at the limit: it is not called again meanwhile. */
typedef bool fh_gc_limit_fn(struct fh_gc_heap *heap, size_t requested, void *data);

struct fh_gc_options {
    uint32_t policy; /* enum fh_gc_policy */
    uint32_t sizing; /* enum fh_gc_sizing */
    size_t limit;    /* bytes of blocks and large objects, 256 KiB at least; 0 none */
    size_t initial;  /* no collection below this size; 0: 8 MiB. With FH_GC_FIXED it is `limit` */
    /* With FH_GC_GROW: of what was live; 0: 100. With FH_GC_ADAPTIVE: no more than that, or `initial`, and, where the
     * program is stopped to be collected, no less than half of it; 0: unbounded. */
    uint32_t growth_percent;
    uint32_t markers;    /* threads that mark, the collecting one included; 0: by processors */
    bool no_static_data; /* static variables of program and libraries are not roots */
    /* Stacks and registers are not searched: only frames, handles, roots. For a heap that one thread uses,
     * since another might collect before a new object is in a frame; not with FH_GC_CONCURRENT and
     * FH_GC_WATCHED. */
    bool exact_stacks;
    bool no_moving; /* objects stay where they are: see FH_GC_COMPACT */
    /* Finalizers run on a thread of the heap, else in fh_gc_finalize(). A child of fork has its own from the next
     * collection on. */
    bool finalizer_thread;
    uint32_t debug;  /* enum fh_gc_debug, or-ed */
    uint32_t stress; /* collect at every n-th allocation; 0 never */
    fh_gc_limit_fn *on_limit;
    void *on_limit_data;
};

/* Makes a heap; options NULL, or zeroed in part, for the standard. NULL with errno: EINVAL for options
 * that make no sense, ENOSPC beyond FH_GC_HEAPS, EAGAIN when the system refuses the heap's thread, ENOMEM.
 * The calling thread is attached. */
struct fh_gc_heap *fh_gc_create(const struct fh_gc_options *options);

/* Frees the whole heap at once: every object, root, handle, weak reference. Pending finalizers are not
 * run; one that runs just now, on the heap's thread, is waited for. No other thread may be in a call on this heap,
 * and none may use it afterwards. NULL is ignored. */
void fh_gc_destroy(struct fh_gc_heap *heap);

/* ---- types -------------------------------------------------------------------------------- */

/* A run of references: `count` pointers from `offset` on. */
struct fh_gc_field {
    uint32_t offset;
    uint32_t count;
};

enum fh_gc_type_flags {
    FH_GC_LEAF = 1,         /* holds no references */
    FH_GC_CONSERVATIVE = 2, /* every aligned word may be one */
    FH_GC_PINNED = 4,       /* never moves; a block that holds one is not emptied */
};

/* Reports the references of an object by the fh_gc_visit functions. May run at any time in any thread,
 * concurrently with the program under FH_GC_CONCURRENT and FH_GC_WATCHED; must not allocate, lock or block; and the
 * object may be one that was only just zeroed. `size` is at least the size that was asked for. Its objects
 * may need it for ever, so dlclose does not unload its module any more, once the type is registered; the same holds
 * for finalizers. */
typedef void fh_gc_trace_fn(void *object, size_t size, struct fh_gc_visitor *visitor);

/* Where an object's references are: `fields` in its first `size` bytes; behind these, if `element` is
 * not 0, as many elements of that size as fit, each with `element_fields`. Types of equal name and layout are one
 * type: compare ids, not addresses. */
struct fh_gc_type {
    const char *name;
    uint32_t size;
    uint32_t element;
    const struct fh_gc_field *fields;
    const struct fh_gc_field *element_fields;
    uint32_t field_count;
    uint32_t element_field_count;
    fh_gc_trace_fn *trace; /* instead of fields, or NULL */
    uint32_t flags;        /* enum fh_gc_type_flags */
    uint32_t id;           /* set by registration; 0 before */
    uint16_t stamp;        /* set by registration; before: that of a conservative object */
    uint16_t reserved;
};

/* Checks and registers a type; the macros below do it by themselves. -EINVAL with a line on stderr: a
 * field outside of the object or not at a multiple of 8; -ENOSPC: too many types, the type's objects
 * are then searched conservatively (with a trace function: a line on stderr too). */
int fh_gc_type_register(struct fh_gc_type *type);

/* Before the instance goes, as that of a library which is unloaded: the macros below do it by themselves. Objects of
 * the type may stay, but not if it has a trace function, which goes too. */
void fh_gc_type_forget(struct fh_gc_type *type);

/* References inside a custom trace function. A moved object's new address is written to the slot. */
void fh_gc_visit(struct fh_gc_visitor *visitor, void *slot_of_pointer);
/* A word whose bits outside of `mask` are a tag: the reference is word & mask. */
void fh_gc_visit_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask);
/* Every aligned word of a range; what it refers to stays where it is. */
void fh_gc_visit_range(struct fh_gc_visitor *visitor, const void *start, size_t size);

/* FH_GC_TYPE(tag, fields...): objects of `struct tag`, whose references are in `fields`, up to 340, which are
 * pointers or arrays of pointers, possibly inside other structures (a.b). At file scope.
 * FH_GC_TYPE_OF(name, ctype, fields...): the same for any C type, under a name.
 * FH_GC_LEAF_TYPE(tag): no references.
 * FH_GC_TRAILING(name, ctype, array, fields...): `array` is the flexible last member, an array of
 *     pointers; fh_gc_new_trailing() makes one with so many.
 * FH_GC_TRACED(name, ctype, function): a custom trace function. */
#define FH_GC_TYPE(tag, ...) FH_GC_TYPE_OF(tag, struct tag, __VA_ARGS__)
#define FH_GC_TYPE_OF(name, ctype, ...)                                                            \
    typedef ctype fh_gc_ctype_##name;                                                              \
    static const struct fh_gc_field fh_gc_fields_##name[] = {FH_GC_EACH(ctype, __VA_ARGS__)};      \
    FH_GC_DEFINE_(name, sizeof(ctype), 0, fh_gc_fields_##name, FH_GC_COUNT_(fh_gc_fields_##name),  \
                  NULL, 0, NULL, 0)                                                                \
    static struct fh_gc_type fh_gc_array_of_##name                                                 \
        __attribute__((unused)) = {#name "[]",                                                     \
                                   0,                                                              \
                                   sizeof(ctype),                                                  \
                                   NULL,                                                           \
                                   fh_gc_fields_##name,                                            \
                                   0,                                                              \
                                   FH_GC_COUNT_(fh_gc_fields_##name),                              \
                                   NULL,                                                           \
                                   0,                                                              \
                                   0,                                                              \
                                   FH_GC_STAMP_CONSERVATIVE(32),                                   \
                                   0};                                                             \
    FH_GC_FORGET_(fh_gc_array_of_##name)
#define FH_GC_LEAF_TYPE(tag)                                                                       \
    typedef struct tag fh_gc_ctype_##tag;                                                          \
    FH_GC_DEFINE_(tag, sizeof(struct tag), 0, NULL, 0, NULL, 0, NULL, FH_GC_LEAF)                  \
    static struct fh_gc_type fh_gc_array_of_##tag __attribute__((unused)) = {                      \
        #tag "[]",  0, sizeof(struct tag),           NULL, NULL, 0, 0, NULL,                       \
        FH_GC_LEAF, 0, FH_GC_STAMP_CONSERVATIVE(32), 0};                                           \
    FH_GC_FORGET_(fh_gc_array_of_##tag)
#define FH_GC_TRAILING(name, ctype, ...) FH_GC_TRAILING_(name, ctype, __VA_ARGS__, )
#define FH_GC_TRAILING_(name, ctype, array, ...)                                                   \
    typedef ctype fh_gc_ctype_##name;                                                              \
    static const struct fh_gc_field fh_gc_fields_##name[] = {                                      \
        FH_GC_EACH_ENDED_(ctype, __VA_ARGS__){offsetof(ctype, array), 0}};                         \
    static const struct fh_gc_field fh_gc_element_##name[] = {{0, 1}};                             \
    FH_GC_DEFINE_(name, offsetof(ctype, array), sizeof(void *), fh_gc_fields_##name,               \
                  FH_GC_COUNT_(fh_gc_fields_##name), fh_gc_element_##name, 1, NULL, 0)
#define FH_GC_TRACED(name, ctype, function)                                                        \
    typedef ctype fh_gc_ctype_##name;                                                              \
    FH_GC_DEFINE_(name, sizeof(ctype), 0, NULL, 0, NULL, 0, function, 0)

/* Ready-made types: FH_GC_BYTES holds no references, FH_GC_WORDS is searched conservatively,
 * FH_GC_POINTERS is an array of references. */
extern struct fh_gc_type fh_gc_type_bytes, fh_gc_type_words, fh_gc_type_pointers;
#define FH_GC_BYTES (&fh_gc_type_bytes)
#define FH_GC_WORDS (&fh_gc_type_words)
#define FH_GC_POINTERS (&fh_gc_type_pointers)

/* ---- allocation --------------------------------------------------------------------------- */

/* All return zeroed memory at a multiple of 16, which stays until nothing refers to it any more. NULL
 * with ENOMEM when the limit or the machine's memory is reached. */

/* struct name *fh_gc_new(heap, name): an object of a type made by one of the macros above. */
#define fh_gc_new(heap, name)                                                                      \
    ((fh_gc_ctype_##name *)fh_gc_new_inline((heap), &fh_gc_type_##name, sizeof(fh_gc_ctype_##name)))

/* ctype *fh_gc_new_array(heap, name, count): `count` objects in a row, one object to the collector. */
#define fh_gc_new_array(heap, name, count)                                                         \
    ((fh_gc_ctype_##name *)fh_gc_allocate_array((heap), &fh_gc_array_of_##name, (count)))

/* ctype *fh_gc_new_trailing(heap, name, count): with `count` elements in the flexible member. */
#define fh_gc_new_trailing(heap, name, count)                                                      \
    ((fh_gc_ctype_##name *)fh_gc_allocate_array((heap), &fh_gc_type_##name, (count)))

/* `size` bytes of a type; at least type->size. */
void *fh_gc_allocate(struct fh_gc_heap *heap, struct fh_gc_type *type, size_t size);

/* At a multiple of `alignment`, a power of two up to 4096. */
void *fh_gc_allocate_aligned(struct fh_gc_heap *heap, struct fh_gc_type *type, size_t size,
                             size_t alignment);

/* The fixed part and `count` elements; refuses sizes that overflow. */
void *fh_gc_allocate_array(struct fh_gc_heap *heap, struct fh_gc_type *type, size_t count);

/* Bytes without references: strings, buffers, numbers. */
#define fh_gc_new_bytes(heap, size) fh_gc_allocate((heap), FH_GC_BYTES, (size))
/* A block of unknown layout, like calloc's: every aligned word may be a reference. */
#define fh_gc_new_words(heap, size) fh_gc_allocate((heap), FH_GC_WORDS, (size))
/* An array of references. */
#define fh_gc_new_pointers(heap, count)                                                            \
    ((void **)fh_gc_allocate_array((heap), FH_GC_POINTERS, (count)))

/* Copies of strings, without references. */
char *fh_gc_strdup(struct fh_gc_heap *heap, const char *string);
void *fh_gc_memdup(struct fh_gc_heap *heap, struct fh_gc_type *type, const void *from, size_t size);

/* The object that holds address p: its start, or NULL if p is in no live object of the heap. */
void *fh_gc_base(struct fh_gc_heap *heap, const void *p);
/* Its usable size, 0 if there is none; its type, NULL for none. */
size_t fh_gc_size(struct fh_gc_heap *heap, const void *p);
const struct fh_gc_type *fh_gc_type_of(struct fh_gc_heap *heap, const void *p);

/* ---- stores ------------------------------------------------------------------------------- */

/* fh_gc_store(heap, &object->field, value): object->field = value, remembered if the collector has to
 * know. The slot may be any pointer-sized variable: in an object, static, in memory of malloc. */
#define fh_gc_store(heap, slot, value)                                                             \
    do {                                                                                           \
        __typeof__(*(slot)) fh_gc_value_ = (value);                                                \
        fh_gc_store_inline((heap), (void *)(slot), (void *)(uintptr_t)fh_gc_value_);               \
    } while (0)

/* The first store into a slot of an object that this thread has just made, of a reference that it had before
 * it made the object: as with left and right of a pair, it needs no barrier under any policy. */
#define fh_gc_init(heap, slot, value) ((void)(heap), (void)(*(slot) = (value)))

/* memmove of references into an object. */
void fh_gc_store_range(struct fh_gc_heap *heap, void *to, const void *from, size_t size);

/* To be called before the program itself changes the word at `slot` (by an atomic exchange, say, or a
 * tagged store), with the reference that it will store; between call and store there must be no other
 * call to the collector. What was stored so last by each thread may stay a cycle longer than it is used. */
void fh_gc_will_store(struct fh_gc_heap *heap, void *slot, const void *value);

/* ---- threads ------------------------------------------------------------------------------ */

/* Makes the calling thread known; the first allocation or fh_gc_store does it too. Ends with the thread, or
 * by detach, after which the thread's stack keeps nothing alive: what references it still has may dangle, so
 * until it attaches again its calls on heaps, stores included, end in a line on stderr and abort. Attaching
 * twice is harmless. Detach is -EBUSY inside fh_gc_blocking(), -ESRCH for a thread that is not attached. */
int fh_gc_thread_attach(void);
int fh_gc_thread_detach(void);

/* Calls function(data) while the thread holds up no collection and gets no signal: for system calls
 * that wait. Inside, the thread must not touch objects or call the collector; its stack as of the call
 * keeps what it refers to. They nest. */
void *fh_gc_blocking(void *(*function)(void *data), void *data);
/* The two halves of it, for callers whose references are all in the frames above. */
void fh_gc_blocking_begin(void);
void fh_gc_blocking_end(void);

/* Lets a collection happen here if one waits: for long loops in threads that block FH_GC_SIGNAL. */
void fh_gc_safepoint(void);

/* For programs with stacks of their own making (coroutines, swapcontext), each of them a root range: to be called
 * by a thread before each switch from one stack to another, its own included, with nothing but the switch after
 * it. FH_GC_CONCURRENT needs it; under other policies it saves the search of the unused part of the thread's own
 * stack. Stacks are not switched in signal handlers. */
void fh_gc_stack_switch(void);

/* ---- roots -------------------------------------------------------------------------------- */

/* Exact: `count` pointer variables from `slots` on, anywhere outside of the heap (-EINVAL inside). */
int fh_gc_root_add(struct fh_gc_heap *heap, void *slots, size_t count);
/* Ambiguous: every aligned word of a range: a block of malloc, a region, the stack of a coroutine (before it
 * is first switched to; see fh_gc_stack_switch). */
int fh_gc_root_range(struct fh_gc_heap *heap, const void *start, size_t size);
/* A function that visits, with the rules of a trace function. `data` tells it from others. */
int fh_gc_root_function(struct fh_gc_heap *heap, fh_gc_trace_fn *trace, void *data);
/* Takes back what was added with this start (or `data`); -ENOENT. */
int fh_gc_root_remove(struct fh_gc_heap *heap, const void *start);

/* Handles: a root made anew for one object, for C++ members, callbacks, other languages. */
struct fh_gc_handle;
struct fh_gc_handle *fh_gc_handle_new(struct fh_gc_heap *heap, void *object);
void *fh_gc_handle_get(const struct fh_gc_handle *handle);
void fh_gc_handle_set(struct fh_gc_handle *handle, void *object);
void fh_gc_handle_free(struct fh_gc_handle *handle); /* NULL is ignored */

/* A shadow stack, for those who want stacks exact: FH_GC_FRAME(a, b) makes the local pointer variables
 * a and b roots until the scope is left, by whatever way but longjmp, which ends the program with a line as
 * soon as it can be told. */
struct fh_gc_frame {
    struct fh_gc_frame *outer;
    size_t count;
    void **slots;
};
#define FH_GC_FRAME(...)                                                                           \
    void *fh_gc_slots_[] = {FH_GC_ADDRESSES(__VA_ARGS__)};                                         \
    struct fh_gc_frame fh_gc_frame_ __attribute__((cleanup(fh_gc_frame_leave))) = {                \
        NULL, sizeof fh_gc_slots_ / sizeof fh_gc_slots_[0], fh_gc_slots_};                         \
    fh_gc_frame_enter(&fh_gc_frame_)
void fh_gc_frame_enter(struct fh_gc_frame *frame);
void fh_gc_frame_leave(struct fh_gc_frame *frame);

/* A pinned object does not move, and is kept, until it was unpinned as often. */
int fh_gc_pin(struct fh_gc_heap *heap, void *object);
int fh_gc_unpin(struct fh_gc_heap *heap, void *object);

/* ---- weakness ----------------------------------------------------------------------------- */

/* A weak reference is an object of the heap that does not keep its target: get returns NULL once the
 * target was found unreachable (before its finalizer runs). */
struct fh_gc_weak;
struct fh_gc_weak *fh_gc_weak_new(struct fh_gc_heap *heap, void *target);
void *fh_gc_weak_get(struct fh_gc_heap *heap, struct fh_gc_weak *weak);
void fh_gc_weak_set(struct fh_gc_heap *heap, struct fh_gc_weak *weak, void *target);

/* An ephemeron keeps its value as long as its key is alive by other means; afterwards both read as
 * NULL. */
struct fh_gc_ephemeron;
struct fh_gc_ephemeron *fh_gc_ephemeron_new(struct fh_gc_heap *heap, void *key, void *value);
void *fh_gc_ephemeron_key(struct fh_gc_heap *heap, struct fh_gc_ephemeron *ephemeron);
void *fh_gc_ephemeron_value(struct fh_gc_heap *heap, struct fh_gc_ephemeron *ephemeron);
void fh_gc_ephemeron_set_value(struct fh_gc_heap *heap, struct fh_gc_ephemeron *ephemeron,
                               void *value);

/* A hash table from objects, by identity, to values: entries are ephemerons and vanish with their key.
 * An object of the heap, garbage like others. Not synchronised: one thread at a time. */
struct fh_gc_table;
struct fh_gc_table *fh_gc_table_new(struct fh_gc_heap *heap);
int fh_gc_table_set(struct fh_gc_heap *heap, struct fh_gc_table *table, void *key, void *value);
/* The value of key, or `missing`. */
void *fh_gc_table_get(struct fh_gc_heap *heap, struct fh_gc_table *table, void *key, void *missing);
bool fh_gc_table_remove(struct fh_gc_heap *heap, struct fh_gc_table *table, void *key);
/* Entries whose keys have not been found dead so far. */
size_t fh_gc_table_count(struct fh_gc_heap *heap, struct fh_gc_table *table);
/* Goes through the entries: *at is 0 at first; false when there are no more. */
bool fh_gc_table_next(struct fh_gc_heap *heap, struct fh_gc_table *table, size_t *at, void **key,
                      void **value);

/* A slot outside of the traced memory (in a leaf object, in a block of malloc) that is set to NULL when
 * `target` is found unreachable, before finalizers run. One slot has one link. It is read by
 * fh_gc_link_get(): under FH_GC_CONCURRENT a plain read may find what is about to be freed. When the
 * target moves, a slot that holds its address, plainly or complemented, gets the new one. */
int fh_gc_link_add(struct fh_gc_heap *heap, void *slot, void *target);
void *fh_gc_link_get(struct fh_gc_heap *heap, void *slot);
int fh_gc_link_remove(struct fh_gc_heap *heap, void *slot);

/* Finalizers. When nothing but finalizable objects refers to an object any more, it is put in the queue;
 * an object that another finalizable one refers to waits for that one (referrer first), so a cycle of
 * such objects stays, unless FH_GC_UNORDERED. The function runs in fh_gc_finalize(), or on the heap's
 * thread; it may allocate, and may make the object reachable again. One finalizer to an object: adding
 * replaces it. */
typedef void fh_gc_finalizer_fn(void *object, void *data);
enum { FH_GC_UNORDERED = 1 };
int fh_gc_finalizer_add(struct fh_gc_heap *heap, void *object, fh_gc_finalizer_fn *function,
                        void *data, unsigned flags);
int fh_gc_finalizer_cancel(struct fh_gc_heap *heap, void *object); /* -ENOENT */
/* Runs up to `most` finalizers of the queue (0: all) and returns how many. */
size_t fh_gc_finalize(struct fh_gc_heap *heap, size_t most);
/* How many wait. */
size_t fh_gc_finalize_pending(struct fh_gc_heap *heap);

/* ---- control ------------------------------------------------------------------------------ */

enum fh_gc_kind {
    FH_GC_MINOR = 0,   /* young objects only, where the policy has generations; else full */
    FH_GC_FULL = 1,    /* everything; under FH_GC_CONCURRENT the caller waits for the end of it */
    FH_GC_COMPACT = 2, /* full, moves objects together, and gives all memory back that can go */
};

/* What moves when. A collection that moves objects is full and stops the program (under
 * FH_GC_CONCURRENT too). It empties sparse blocks into the holes of others: on FH_GC_COMPACT; before
 * memory is refused at the limit; and by itself, but not under FH_GC_CONCURRENT, when fragmentation asks
 * for it. What stays: objects that stacks, registers, static variables, ranges or conservative objects
 * refer to, pinned ones, ones above 64 KiB, ones allocated at a multiple of more than 16. Under
 * `exact_stacks` local variables in frames follow. */

/* Collects now, even if parked. -EINVAL: no such kind. */
int fh_gc_collect(struct fh_gc_heap *heap, enum fh_gc_kind kind);

/* Does up to about `budget_us` microseconds of what the collector has to do: marking in progress,
 * sweeping. Then a collection that is due soon is started: under a policy that stops the program only if
 * the last full one took less processor time than is left of the budget. True if there is more to do. */
bool fh_gc_step(struct fh_gc_heap *heap, uint64_t budget_us);

/* No collection starts by itself between clamp or park and release; they nest, and none may be missing. Allocation goes on up to the
 * limit. Park waits for a collection in progress to end; clamp lets it go on. */
void fh_gc_clamp(struct fh_gc_heap *heap);
void fh_gc_park(struct fh_gc_heap *heap);
void fh_gc_release(struct fh_gc_heap *heap);

/* The limit, in bytes, 256 KiB at least (else -EINVAL); 0 none. Lowering it below what the heap holds
 * collects, and what is empty then goes back. */
int fh_gc_limit_set(struct fh_gc_heap *heap, size_t limit);

/* The program builds up structures that will stay: collect less often until the ramp ends. Nests. */
void fh_gc_ramp_begin(struct fh_gc_heap *heap);
void fh_gc_ramp_end(struct fh_gc_heap *heap);

/* Memory outside of the heap that its objects hold (buffers of malloc): counts towards the next
 * full collection, which this call may begin. Negative when it is freed. */
void fh_gc_external(struct fh_gc_heap *heap, ptrdiff_t bytes);

/* Location dependency: hash objects by address, and learn when hashes have gone stale because objects
 * moved (any object: all hashes are stale then). Reset, add each address used, and ask before trusting
 * a lookup that failed. */
struct fh_gc_location {
    uint64_t epoch;
};
void fh_gc_location_reset(struct fh_gc_heap *heap, struct fh_gc_location *location);
void fh_gc_location_add(struct fh_gc_heap *heap, struct fh_gc_location *location, const void *p);
bool fh_gc_location_stale(struct fh_gc_heap *heap, const struct fh_gc_location *location,
                          const void *p);

/* Replaces every exact reference to from[i] by to[i]: in objects, roots, handles, frames. References on
 * stacks and in conservative objects cannot be: if one refers to any from[i] nothing is done and
 * -EBUSY returned, but for the caller's own array `from`, which should be in memory of malloc (where it
 * does not follow objects that another thread's collection moves before the call). */
int fh_gc_transform(struct fh_gc_heap *heap, void *const *from, void *const *to, size_t count);

/* Walks. The program is stopped meanwhile: no calls to the collector from the function, which returns
 * false to stop. Objects: all that a collection would find now. */
typedef bool fh_gc_walk_fn(void *object, size_t size, const struct fh_gc_type *type, void *data);
int fh_gc_walk(struct fh_gc_heap *heap, fh_gc_walk_fn *function, void *data);
typedef bool fh_gc_edge_fn(void *from, void *to, void *data);
int fh_gc_walk_references(struct fh_gc_heap *heap, void *object, fh_gc_edge_fn *function,
                          void *data);
/* `from` is the address of the root's word. */
int fh_gc_walk_roots(struct fh_gc_heap *heap, fh_gc_edge_fn *function, void *data);

/* ---- facts -------------------------------------------------------------------------------- */

enum fh_gc_why {
    FH_GC_WHY_NONE = 0,
    FH_GC_WHY_ALLOCATION = 1, /* the heap grew to its target */
    FH_GC_WHY_LIMIT = 2,      /* the limit was reached */
    FH_GC_WHY_CALL = 3,       /* fh_gc_collect */
    FH_GC_WHY_STRESS = 4,     /* fh_gc_options.stress */
    FH_GC_WHY_STEP = 5,       /* fh_gc_step */
    FH_GC_WHY_EXTERNAL = 6,   /* memory that fh_gc_external told of */
};
#define FH_GC_WHYS 8

/* Times of a thread that did not run its own work because of the collector, each thread's own: it was
 * stopped or handshaken, collected, waited for a collection or a block, helped to mark; an allocation that
 * took less than 10 us counts as work. Not in it: what a program asks for to see its heap (walks, steps)
 * and the time of a thread that is in fh_gc_blocking() all the while. In buckets as of an HDR histogram: 16
 * to each doubling from 1 us on. */
#define FH_GC_PAUSE_BUCKETS 448
struct fh_gc_pauses {
    uint64_t count, total_ns, max_ns;
    uint32_t bucket[FH_GC_PAUSE_BUCKETS];
};

/* A time that `per_ten_thousand`/10000 of all pauses do not exceed: 5000 the median, 9990 p99.9. At most
 * 6.25 % (below 1 us: 64 ns) above the shortest such pause, and never above the longest of all. */
uint64_t fh_gc_pauses_quantile(const struct fh_gc_pauses *pauses, unsigned per_ten_thousand);

/* Where the bytes of a part of the heap are: bytes = live + garbage + hole + free. */
struct fh_gc_space {
    uint64_t count;      /* blocks, or large objects */
    uint64_t bytes;      /* that it takes from the machine */
    uint64_t live_bytes; /* in objects that the last collection found alive */
    uint64_t
        garbage_bytes; /* not known to be alive nor to be free: dead and not swept yet, or allocated
                               since, as far as threads have told (the calling one: all) */
    uint64_t hole_bytes; /* free between objects, or behind the end of large ones: fragmentation */
    uint64_t free_bytes; /* in blocks without objects */
};

struct fh_gc_stats {
    uint64_t collections;       /* that have ended */
    uint64_t minor_collections; /* of them, of young objects only */
    /* Of them all, those for each reason: enum fh_gc_why; in JSON collections_allocation, _limit, _call,
     * _stress, _step, _external. */
    uint64_t collections_why[FH_GC_WHYS];
    uint64_t
        allocated_bytes; /* ever; but for what other threads have not told of: a block for each */
    uint64_t live_bytes; /* in objects that the last collection found alive */
    uint64_t heap_bytes; /* of blocks and large objects now, garbage included */
    uint64_t heap_bytes_peak; /* the most of that since the last reset */
    uint64_t target_bytes;    /* of blocks and large objects at which the next collection is due */
    uint64_t limit_bytes;     /* beyond which they may not grow; 0: none */
    struct fh_gc_space
        blocks; /* of 64 KiB, for objects up to that size; in JSON blocks_count, ... */
    struct fh_gc_space large; /* objects above, in memory of their own; in JSON large_count, ... */
    uint64_t metadata_bytes;  /* mark bytes and log bits of that, beside it */
    uint64_t table_bytes; /* lists, mark stack, roots, weak references: as far as they ever grew */
    uint64_t evacuated_bytes; /* in objects that were moved, ever */
    uint64_t
        pinned_blocks; /* that the last collection could not empty, since stacks refer to them */
    uint64_t objects_marked; /* by the last collection */
    uint64_t mark_ns; /* ever: of marking while the program stood, or else of the marking thread's
                                 processor time */
    uint64_t
        sweep_ns; /* ever: of sweeping, by whichever thread; but not for an allocation that finds room
                          in the first block that it sweeps */
    uint64_t stop_ns;           /* ever: that the program stood */
    uint64_t handshakes;        /* of all threads, ever */
    uint64_t assists;           /* ever: times that an allocating thread marked */
    uint64_t stack_overflows;   /* of the mark stack, each mended by a pass over the heap */
    uint64_t weak_cleared;      /* weak references, links and ephemerons whose target died, ever */
    uint64_t finalizers_queued; /* ever */
    uint64_t finalizers_run;    /* of them */
    uint64_t threads;           /* attached now */
    uint32_t last_why;          /* enum fh_gc_why of the last collection */
    uint32_t mutator_utilisation_permille; /* that in any 10 ms */
    /* The smallest share of any 1, 10, 100 ms in which a thread ran its own work, since the last reset: the
     * minimum mutator utilisation of Cheng and Blelloch (2001), measured to 10 permille below. In JSON
     * utilisation_1ms_permille, _10ms_, _100ms_. */
    uint32_t utilisation_permille[3];
    /* Since the last reset; in JSON pauses (how many), pause_total_ns, _p50_, _p99_, _p999_, _max_ns. */
    struct fh_gc_pauses pauses;
};

void fh_gc_stats_get(struct fh_gc_heap *heap, struct fh_gc_stats *stats);
/* The pauses and peaks start anew. */
void fh_gc_stats_reset(struct fh_gc_heap *heap);
/* The same as one JSON object; returns its length, which may be more than the capacity. */
size_t fh_gc_stats_json(struct fh_gc_heap *heap, char *text, size_t capacity);

/* In the order in which a collection has them, and then what happens at any time. Codes are never used
 * again for something else. */
enum fh_gc_event_kind {
    FH_GC_EVENT_START = 1,       /* detail: enum fh_gc_why; value: bytes of the heap */
    FH_GC_EVENT_STOPPED = 2,     /* value: ns that it took until all threads stood; detail, as of
                                    ROOTS and RESUMED: 1 in the first stop under FH_GC_WATCHED, which
                                    is for the roots; else 0 */
    FH_GC_EVENT_ROOTS = 3,       /* the roots are marked */
    FH_GC_EVENT_WEAK = 5,        /* value: weak references, links, ephemerons cleared */
    FH_GC_EVENT_FINALIZERS = 11, /* value: objects whose finalizers were queued, if any */
    FH_GC_EVENT_MARKED = 4,      /* value: bytes found alive */
    FH_GC_EVENT_RESUMED = 6,     /* value: ns from the wish to stop until threads went on */
    FH_GC_EVENT_COMPACT = 14,    /* objects moved; value: their bytes */
    FH_GC_EVENT_END = 7,         /* detail: enum fh_gc_kind; value: ns, the sweep of what the
                                    collection before had left included */
    FH_GC_EVENT_SWEPT = 12,    /* the last block that waited was swept; value: bytes free in them */
    FH_GC_EVENT_HANDSHAKE = 9, /* detail: enum fh_gc_handshake; value: ns until all had answered */
    FH_GC_EVENT_ASSIST = 13,   /* value: ns that an allocating thread marked */
    FH_GC_EVENT_GROW = 8, /* value: bytes up to which the heap may grow now without a collection */
    FH_GC_EVENT_SHRINK = 15,  /* blocks were given back; value: bytes of the heap */
    FH_GC_EVENT_STALL = 10,   /* an allocation waited above 100 us for room; value: ns */
    FH_GC_EVENT_REFUSED = 16, /* memory is out or the limit reached; value: bytes asked for */
    FH_GC_EVENT_LOST = 63,    /* by fh_gc_events only; value: how many events are missing here */
};

/* What each thread is asked for in a concurrent cycle. */
enum fh_gc_handshake {
    FH_GC_HANDSHAKE_ARM = 1,    /* remember every store from now on */
    FH_GC_HANDSHAKE_SETTLE = 2, /* finish the store in progress */
    FH_GC_HANDSHAKE_SCAN = 3,   /* find your own roots */
    FH_GC_HANDSHAKE_FLUSH = 4,  /* hand over what you remember */
};

struct fh_gc_event {
    uint16_t kind; /* enum fh_gc_event_kind */
    uint16_t detail;
    uint32_t collection; /* 1, 2, ...: the one that goes on, or the last; 0 before the first */
    uint64_t time_ns;    /* CLOCK_MONOTONIC */
    uint64_t value;
};

/* What happened lately in this heap: up to `most` events from *position on, oldest first; returns how many,
 * and moves *position behind them. Begin with 0; with `most` 0 it is moved behind all that there are. The
 * last 4096 events of all heaps together are kept: where some are missing because they were overwritten, or
 * lost for want of time, one of kind FH_GC_EVENT_LOST stands for them, those of other heaps included. Waits
 * for nobody. Tools find the same events from outside: freehold/registry.h. */
size_t fh_gc_events(struct fh_gc_heap *heap, struct fh_gc_event *events, size_t most,
                    uint64_t *position);

/* Called for each event, some while the program is stopped: it must not lock, and not call anything here. NULL
 * ends. */
typedef void fh_gc_listener_fn(const struct fh_gc_event *event, void *data);
void fh_gc_listen(struct fh_gc_heap *heap, fh_gc_listener_fn *listener, void *data);

/* ---- debugging ---------------------------------------------------------------------------- */

/* Checks every object, mark byte and reference; 0, or -EINVAL after a line on stderr for the first
 * thing wrong. */
int fh_gc_verify(struct fh_gc_heap *heap);

/* Writes the chain of references that keeps the object of p alive, from a root on, one a line; returns
 * the length of the text, 0 if nothing keeps it. */
size_t fh_gc_why_alive(struct fh_gc_heap *heap, const void *p, char *text, size_t capacity);

#ifdef __cplusplus
}
#endif

#include <freehold/gc_fast.h>

#endif
