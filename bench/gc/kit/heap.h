// The heap that the workloads are written for: a thin layer that each back end fills in, so that one
// source is measured over every collector, and over malloc and free by hand.
//
// A back end is a pair of files in backends/, chosen by -DBACKEND_H="backends/NAME.h" for the whole
// program: nothing is called through a pointer, and what a collector does inline stays inline. The
// declarations below are the contract; the back end's header defines them.
//
// What makes rows comparable:
//  - Every object begins with a word `head`, which belongs to the back end: MPS and Whippet keep there
//    what the object is and where it went. For the others it is a word that the program has and does
//    not use. So a node is 32 bytes for everybody, and equal limits are equal.
//  - References in objects are to the start of objects (or words whose low three bits are not all 0:
//    the interpreter's numbers, which everybody passes over), and objects are reached from roots[], from
//    other objects and from the stack. Nobody has to register local variables: stacks are searched
//    conservatively by everybody (in MPS an ambiguous root, in Whippet the stack-conservative kinds).
//  - Every store of a reference goes through STORE (or INIT, for an object made since which nothing
//    was allocated), whether or not the collector needs to know.
//  - By hand (BACKEND_BY_HAND) the workload frees what it drops, as a C program would. Otherwise
//    object_free does nothing and the compiler removes the walk that leads there.
#ifndef BENCH_GC_HEAP_H
#define BENCH_GC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// --- objects -------------------------------------------------------------------------------------

struct head {
    uintptr_t word;
};

struct bytes { // no references
    struct head head;
    unsigned char data[];
};

struct node {
    struct head head;
    struct node *left, *right;
    uint64_t value;
};

struct tree {
    struct head head;
    struct tree *left, *right;
    struct bytes *blob;
};

struct quad {
    struct head head;
    struct quad *kids[4];
};

struct array {
    struct head head;
    void *slots[];
};

// What the workloads start from. Written by ROOT_STORE only.
enum { ROOTS = 64 };
extern void *roots[ROOTS];

// --- the contract --------------------------------------------------------------------------------

// Makes the heap; it may take up to `limit` bytes. The calling thread becomes a mutator.
void heap_open(size_t limit);

// A full collection, as far as a program can ask for one.
void heap_collect(void);

// Collections so far; 0 where nobody counts.
unsigned long heap_collections(void);

// A thread other than the one that opened the heap, before its first and after its last use of it.
void mutator_enter(void);
void mutator_leave(void);

// Around waiting for other threads.
static inline void mutator_wait_begin(void);
static inline void mutator_wait_end(void);

// Lets a collector that needs safepoints stop the thread here.
static inline void mutator_poll(void);

// New objects, zeroed. Out of memory ends the program: heap_exhausted().
static inline struct node *node_new(void);
static inline struct tree *tree_new(void);
static inline struct quad *quad_new(void);
static inline struct array *array_new(size_t count);
static inline struct bytes *bytes_new(size_t size);

// By hand only; NULL is ignored.
static inline void object_free(void *object);

// STORE(object, &object->field, value), INIT(object, &object->field, value), ROOT_STORE(index, value)
// are macros of the back end.

// Where BACKEND_EPHEMERONS is not NO_EPHEMERONS. WEAK_KEYS: the value is held strongly, so that a key
// that its value refers to never dies.
enum ephemerons { NO_EPHEMERONS, WEAK_KEYS, TRUE_EPHEMERONS };
struct ephemeron; // an object of the heap, or made by malloc and freed by object_free
static inline struct ephemeron *ephemeron_new(struct node *key, struct node *value);
static inline struct node *ephemeron_key(struct ephemeron *ephemeron); // NULL: it died
static inline struct node *ephemeron_value(struct ephemeron *ephemeron);

// Where BACKEND_FINALIZERS is 1. The function is called from finalizers_run, which returns how many
// were run.
typedef void finalizer(struct node *object);
static inline void finalizer_add(struct node *object, finalizer *function);
size_t finalizers_run(void);

// --- failing -------------------------------------------------------------------------------------

// All end the program: the row becomes an error, never a number. cannot(): the back end lacks what the
// workload is about.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void heap_exhausted(size_t size);
_Noreturn void cannot(const char *why);

#include BACKEND_H

#endif
