/*
 * What of freehold/gc.h runs inside the program: allocation of an object of constant size, the store, and the
 * declaration lists. Included by gc.h; not to be used by itself, and its names may change.
 */
#ifndef FREEHOLD_GC_FAST_H
#define FREEHOLD_GC_FAST_H

#pragma GCC system_header

#include <freehold/gc.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * An object lies in granules of 16 bytes; one byte for each granule, apart from the objects, says what
 * is there:
 *
 *      bit      7     6 ... 2    1 0
 *           +-----+-----------+-------+   state of the first byte of an object: 1 young, 2 and 3
 *           | end |   type    | state |   marked; 0: inside an object, or free
 *           +-----+-----------+-------+
 *
 * `end` is set in the last byte of an object. The type's number is spread over the first two bytes, so
 * objects carry no header; an object of one granule has room for 30 types.
 *
 * The thread's context says where the next object goes. Who interrupts the thread between its stores
 * finds one of these: an object of one or two granules that the cursor has passed and that has no byte yet,
 * so it is none yet, and zero; or one with its first and its last byte that the cursor is still at.
 */
struct fh_gc_context {
    uintptr_t cursor; /* the next object */
    uintptr_t limit;  /* end of the hole; 0: go the long way */
    uint32_t barrier; /* enum fh_gc_barrier */
    uint32_t reserved;
};

enum fh_gc_barrier {
    FH_GC_BARRIER_NONE = 0, /* the thread is not attached: its first store goes the long way */
    FH_GC_BARRIER_OFF = 1,
    FH_GC_BARRIER_LOG = 2,   /* stores to slots whose log bit is set are remembered */
    FH_GC_BARRIER_SNOOP = 3, /* all are */
};

#define FH_GC_GRANULE 16
#define FH_GC_YOUNG 1
#define FH_GC_END 0x80
#define FH_GC_TYPE_WORDS 2 /* number of FH_GC_WORDS in either size */

/* First two bytes of an object of type number n: 5 bits in each, above the state. */
#define FH_GC_STAMP(n, size)                                                                       \
    ((uint16_t)((size) <= 16   ? FH_GC_YOUNG | (n) << 2 | FH_GC_END                                \
                : (size) <= 32 ? FH_GC_YOUNG | ((n)&31) << 2 | (n) >> 5 << 10 | FH_GC_END << 8     \
                               : FH_GC_YOUNG | ((n)&31) << 2 | (n) >> 5 << 10))
#define FH_GC_STAMP_CONSERVATIVE(size) FH_GC_STAMP(FH_GC_TYPE_WORDS, size)

#if defined(__x86_64__) && !defined(__cplusplus) && !defined(__STRICT_ANSI__)
#define FH_GC_CONTEXT(heap) ((struct fh_gc_context __seg_fs *)(heap)->context)
#define FH_GC_IN_CONTEXT __seg_fs
#else
#define FH_GC_IN_CONTEXT
#if defined(__x86_64__)
static inline char *fh_gc_thread_pointer(void)
{
    char *p;
    __asm__("movq %%fs:0, %0" : "=r"(p));
    return p;
}
#define FH_GC_CONTEXT(heap) ((struct fh_gc_context *)(fh_gc_thread_pointer() + (heap)->context))
#else
#define FH_GC_CONTEXT(heap)                                                                        \
    ((struct fh_gc_context *)((char *)__builtin_thread_pointer() + (heap)->context))
#endif
#endif

typedef uint16_t fh_gc_stamp __attribute__((may_alias, aligned(1)));

/* An object of constant size. */
static inline __attribute__((always_inline)) void *fh_gc_new_inline(struct fh_gc_heap *heap,
                                                                    struct fh_gc_type *type,
                                                                    size_t size)
{
    size_t granules = (size + FH_GC_GRANULE - 1) / FH_GC_GRANULE;
    struct fh_gc_context FH_GC_IN_CONTEXT *context = FH_GC_CONTEXT(heap);
    if (size > 4096) return fh_gc_allocate(heap, type, size);
    uintptr_t p = context->cursor, next = p + granules * FH_GC_GRANULE;
    if (__builtin_expect(next > context->limit, 0)) return fh_gc_allocate(heap, type, size);
    uintptr_t meta = heap->marks + next / FH_GC_GRANULE - granules;
    if (granules == 1) {
        context->cursor = next;
        *(uint8_t *)meta = (uint8_t)type->stamp;
    } else if (granules == 2) {
        context->cursor = next;
        *(fh_gc_stamp *)meta = type->stamp;
    } else {
        *(volatile uint8_t *)(meta + granules - 1) = FH_GC_END;
        *(volatile fh_gc_stamp *)meta = type->stamp;
        *(volatile uintptr_t FH_GC_IN_CONTEXT *)&context->cursor = next;
    }
    return (void *)p;
}

void fh_gc_store_slow(struct fh_gc_heap *heap, void *slot, void *value, uint32_t barrier);

#ifdef __has_feature
#define FH_GC_HAS_FEATURE_(x) __has_feature(x)
#else
#define FH_GC_HAS_FEATURE_(x) 0
#endif

/* Whether a store to this slot of an object has been remembered already, or need not be. */
static inline __attribute__((always_inline)) bool fh_gc_slot_is_clear(struct fh_gc_heap *heap,
                                                                      void *slot)
{
    uintptr_t at = (uintptr_t)slot;
    if (at + heap->minus_base >= __atomic_load_n(&heap->range, __ATOMIC_RELAXED)) return false;
    uint8_t byte = __atomic_load_n((uint8_t *)(heap->logs + (at >> 6)), __ATOMIC_RELAXED);
    return !(byte >> (at >> 3 & 7) & 1);
}

/* Slot and value are in registers or in the frame from the test to the store: a thread that is interrupted
 * there has its value kept and its slot looked into (docs/gc-concurrent.md). */
static inline __attribute__((always_inline)) void fh_gc_store_inline(struct fh_gc_heap *heap,
                                                                     void *slot, void *value)
{
    __asm__ volatile("" : "+r"(slot), "+r"(value)::"memory");
    uint32_t barrier = FH_GC_CONTEXT(heap)->barrier;
    if (__builtin_expect(barrier != FH_GC_BARRIER_OFF, 0) &&
        (barrier != FH_GC_BARRIER_LOG || !fh_gc_slot_is_clear(heap, slot))) {
        fh_gc_store_slow(heap, slot, value, barrier);
        return;
    }
#if defined(__SANITIZE_THREAD__) || FH_GC_HAS_FEATURE_(thread_sanitizer)
    __atomic_store_n((void **)slot, value, __ATOMIC_RELEASE); /* seen by it */
#elif defined(__x86_64__)
    __asm__ volatile("movq %1, (%0)" ::"r"(slot), "r"(value) : "memory");
#elif defined(__aarch64__)
    __asm__ volatile("stlr %1, [%0]" ::"r"(slot), "r"(value) : "memory");
#endif
}

/* ---- preprocessor ----------------------------------------------------------------------------- */

#define FH_GC_COUNT_(array) ((uint32_t)(sizeof(array) / sizeof(struct fh_gc_field)))
#define FH_GC_DEFINE_(name, size, element, fields, count, element_fields, element_count, trace,    \
                      flags)                                                                       \
    static struct fh_gc_type fh_gc_type_##name = {#name,                                           \
                                                  size,                                            \
                                                  element,                                         \
                                                  fields,                                          \
                                                  element_fields,                                  \
                                                  count,                                           \
                                                  element_count,                                   \
                                                  trace,                                           \
                                                  flags,                                           \
                                                  0,                                               \
                                                  FH_GC_STAMP_CONSERVATIVE(size),                  \
                                                  0};                                              \
    __attribute__((constructor(101), unused)) static void fh_gc_register_##name(void)              \
    {                                                                                              \
        (void)fh_gc_type_register(&fh_gc_type_##name);                                             \
    }                                                                                              \
    FH_GC_FORGET_(fh_gc_type_##name)
#define FH_GC_FORGET_(type)                                                                        \
    __attribute__((destructor, unused)) static void fh_gc_forget_##type(void)                      \
    {                                                                                              \
        fh_gc_type_forget(&type);                                                                  \
    }

#define FH_GC_PARENTHESES ()
#define FH_GC_EXPAND1(...) FH_GC_EXPAND2(FH_GC_EXPAND2(FH_GC_EXPAND2(FH_GC_EXPAND2(__VA_ARGS__))))
#define FH_GC_EXPAND2(...) FH_GC_EXPAND3(FH_GC_EXPAND3(FH_GC_EXPAND3(FH_GC_EXPAND3(__VA_ARGS__))))
#define FH_GC_EXPAND3(...) FH_GC_EXPAND4(FH_GC_EXPAND4(FH_GC_EXPAND4(FH_GC_EXPAND4(__VA_ARGS__))))
#define FH_GC_EXPAND4(...) FH_GC_EXPAND5(FH_GC_EXPAND5(FH_GC_EXPAND5(FH_GC_EXPAND5(__VA_ARGS__))))
#define FH_GC_EXPAND5(...) __VA_ARGS__
/* Lists end in an empty argument: to leave out that of `...` is an extension, of which compilers warn where the
 * program uses the macro. */
#define FH_GC_EACH(ctype, ...) __VA_OPT__(FH_GC_EACH_ENDED_(ctype, __VA_ARGS__, ))
#define FH_GC_EACH_ENDED_(ctype, ...) __VA_OPT__(FH_GC_EXPAND1(FH_GC_EACH_NEXT(ctype, __VA_ARGS__)))
#define FH_GC_EACH_NEXT(ctype, field, ...)                                                         \
    {(uint32_t)offsetof(ctype, field), (uint32_t)(sizeof(((ctype *)0)->field) / sizeof(void *))},  \
        __VA_OPT__(FH_GC_EACH_AGAIN FH_GC_PARENTHESES(ctype, __VA_ARGS__))
#define FH_GC_EACH_AGAIN() FH_GC_EACH_NEXT
#define FH_GC_ADDRESSES(...) __VA_OPT__(FH_GC_EXPAND1(FH_GC_ADDRESS_NEXT(__VA_ARGS__, )))
#define FH_GC_ADDRESS_NEXT(variable, ...)                                                          \
    &variable, __VA_OPT__(FH_GC_ADDRESS_AGAIN FH_GC_PARENTHESES(__VA_ARGS__))
#define FH_GC_ADDRESS_AGAIN() FH_GC_ADDRESS_NEXT

#ifdef __cplusplus
}
#endif
#endif
