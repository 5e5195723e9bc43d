/*
 * C++ new and delete, under their mangled names, so that the library needs no C++ runtime: a C
 * program must not load one.
 *
 * The standard says of most forms that they call another one, and a program may replace any of them.
 *
 *     new(size)         <- new[](size), new(size, nothrow)         new[] <- new[](size, nothrow)
 *     delete(p)         <- delete[](p), delete(p, size), ...       delete[] <- delete[](p, size), ...
 *     new(size, align), delete(p, align) and those that call them: the same once more
 *
 * So the forms that call others go straight to malloc only while all that they would call are ours,
 * which the loader knows: `bound` is what it made of the names. What needs the runtime's exceptions, to
 * throw bad_alloc, or to catch what a new-handler threw, is left to the runtime's own operator of that
 * name, which calls malloc, which is ours. It is looked up only then: when memory is out, or in a
 * program with operators of its own.
 *
 * The static library has operators of its own instead (cxx_static.cc): a linker knows what a program
 * brings, and may need the runtime.
 * Rejected: weak references to std::get_new_handler and std::__throw_bad_alloc. They are NULL where
 * the runtime came by a late dlopen, and in static programs; and C cannot catch.
 *
 * Itanium C++ ABI names: Zn new, Zd delete; w scalar, a array; m size_t; St11align_val_t alignment;
 * RKSt9nothrow_t nothrow.
 */
#ifdef FH_CXX_OPERATORS

#include <dlfcn.h>
#include <stdlib.h>

#include "face/cxx.h"
#include "os/os.h"

/* ---- whose operators ----------------------------------------------------------------------------- */

#define OPERATOR(type, name, parameters)                                                           \
    static type own##name parameters;                                                              \
    PUBLIC type name parameters __attribute__((alias("own" #name)));                               \
    static type own##name parameters

static void *own_Znwm(size_t size);
static void *own_Znam(size_t size);
static void *own_ZnwmSt11align_val_t(size_t size, size_t alignment);
static void *own_ZnamSt11align_val_t(size_t size, size_t alignment);
static void own_ZdlPv(void *p);
static void own_ZdaPv(void *p);
static void own_ZdlPvSt11align_val_t(void *p, size_t alignment);
static void own_ZdaPvSt11align_val_t(void *p, size_t alignment);

/* Those that others call. */
struct operators {
    void *(*make)(size_t);
    void *(*make_array)(size_t);
    void *(*make_aligned)(size_t, size_t);
    void *(*make_array_aligned)(size_t, size_t);
    void (*end)(void *);
    void (*end_array)(void *);
    void (*end_aligned)(void *, size_t);
    void (*end_array_aligned)(void *, size_t);
};

static const struct operators own = {
    own_Znwm,  own_Znam,  own_ZnwmSt11align_val_t,  own_ZnamSt11align_val_t,
    own_ZdlPv, own_ZdaPv, own_ZdlPvSt11align_val_t, own_ZdaPvSt11align_val_t,
};

/* As the loader bound the names, in the same order. In assembly, because a compiler that sees the
 * definitions takes them for the answer; the linker is told not to (--dynamic-list-cpp-new). */
extern const struct operators cxx_bound __attribute__((visibility("hidden")));
__asm__(".pushsection .data.rel.ro, \"aw\"\n"
        ".balign 8\n"
        ".hidden cxx_bound\n"
        ".globl cxx_bound\n"
        ".type cxx_bound, %object\n"
        ".size cxx_bound, 64\n"
        "cxx_bound:\n"
        "    .quad _Znwm, _Znam, _ZnwmSt11align_val_t, _ZnamSt11align_val_t\n"
        "    .quad _ZdlPv, _ZdaPv, _ZdlPvSt11align_val_t, _ZdaPvSt11align_val_t\n"
        ".popsection");

static_assert(sizeof(struct operators) == 64, "as many as cxx_bound has");

static enum { UNKNOWN, OURS, REPLACED } whose;

static FH_COLD bool find_whose(void)
{
    const struct operators *b = &cxx_bound, *o = &own;
    bool same = b->make == o->make && b->make_array == o->make_array &&
                b->make_aligned == o->make_aligned &&
                b->make_array_aligned == o->make_array_aligned && b->end == o->end &&
                b->end_array == o->end_array && b->end_aligned == o->end_aligned &&
                b->end_array_aligned == o->end_array_aligned;
    __atomic_store_n(&whose, same ? OURS : REPLACED, __ATOMIC_RELAXED);
    return same;
}

FH_INLINE bool are_ours(void)
{
    unsigned now = __atomic_load_n(&whose, __ATOMIC_RELAXED);
    return LIKELY(now == OURS) || (now == UNKNOWN && find_whose());
}

/* ---- the runtime's operators ----------------------------------------------------------------------- */

/* All parameters of all forms are words in registers, so that one type serves for every form. */
typedef void *runtime_new(uintptr_t, uintptr_t, uintptr_t);

/* By its file, since a runtime that a plugin brought is in no scope of ours. Only one that is there
 * already. */
static runtime_new *runtime_find(const char *name)
{
    static const char *const files[] = {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        void *runtime = dlopen(files[i], RTLD_LAZY | RTLD_NOLOAD);
        if (runtime == NULL) continue;
        void *found = dlsym(runtime, name);
        dlclose(runtime);
        if (found) return (runtime_new *)(uintptr_t)found;
    }
    return NULL;
}

static FH_COLD _Noreturn void out_of_memory(void)
{
    static const char line[] = "freehold: out of memory in operator new, and no C++ runtime that "
                               "could throw bad_alloc; stopping\n";
    os_write(2, line, sizeof line - 1);
    base_abort();
}

/* A form of new that the runtime must do. `cache` is that form's. */
static FH_COLD void *new_by_runtime(runtime_new *_Atomic *cache, const char *name, bool nothrow,
                                    uintptr_t a, uintptr_t b, uintptr_t c)
{
    runtime_new *function = LOAD(cache);
    if (function == NULL) STORE(cache, function = runtime_find(name));
    cxx_runtime_allocates();
    if (function) return function(a, b, c);
    if (!nothrow) out_of_memory();
    return NULL;
}

#define BY_RUNTIME(name, nothrow, a, b, c)                                                         \
    ({                                                                                             \
        static runtime_new *_Atomic cache;                                                         \
        new_by_runtime(&cache, #name, nothrow, a, (uintptr_t)(b), (uintptr_t)(c));                 \
    })

/* ---- new --------------------------------------------------------------------------------------------- */

#define SITE __builtin_return_address(0)

OPERATOR(void *, _Znwm, (size_t size))
{
    void *p = cxx_allocate(CXX_NEW, size, SITE);
    return LIKELY(p) ? p : BY_RUNTIME(_Znwm, false, size, 0, 0);
}

OPERATOR(void *, _ZnwmSt11align_val_t, (size_t size, size_t alignment))
{
    void *p = cxx_allocate_aligned(CXX_NEW_ALIGNED, alignment, size, SITE);
    return LIKELY(p) ? p : BY_RUNTIME(_ZnwmSt11align_val_t, false, size, alignment, 0);
}

OPERATOR(void *, _Znam, (size_t size))
{
    if (!are_ours()) return cxx_bound.make(size);
    void *p = cxx_allocate(CXX_NEW_ARRAY, size, SITE);
    return LIKELY(p) ? p : BY_RUNTIME(_Znam, false, size, 0, 0);
}

OPERATOR(void *, _ZnamSt11align_val_t, (size_t size, size_t alignment))
{
    if (!are_ours()) return cxx_bound.make_aligned(size, alignment);
    void *p = cxx_allocate_aligned(CXX_NEW_ARRAY_ALIGNED, alignment, size, SITE);
    return LIKELY(p) ? p : BY_RUNTIME(_ZnamSt11align_val_t, false, size, alignment, 0);
}

#define NEW_NOTHROW(name, form)                                                                    \
    OPERATOR(void *, name, (size_t size, const void *tag))                                         \
    {                                                                                              \
        void *p = are_ours() ? cxx_allocate(form, size, SITE) : NULL;                              \
        return LIKELY(p) ? p : BY_RUNTIME(name, true, size, tag, 0);                               \
    }
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, CXX_NEW)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, CXX_NEW_ARRAY)

#define NEW_ALIGNED_NOTHROW(name, form)                                                            \
    OPERATOR(void *, name, (size_t size, size_t alignment, const void *tag))                       \
    {                                                                                              \
        void *p = are_ours() ? cxx_allocate_aligned(form, alignment, size, SITE) : NULL;           \
        return LIKELY(p) ? p : BY_RUNTIME(name, true, size, alignment, tag);                       \
    }
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t, CXX_NEW_ALIGNED)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t, CXX_NEW_ARRAY_ALIGNED)

/* ---- delete: sizes and alignments are known from the address, and a hardened heap compares ---------------- */

/* Where a program has operators of its own, what ours get may have come by any. */
OPERATOR(void, _ZdlPv, (void *p))
{
    cxx_free(are_ours() ? CXX_NEW : CXX_ANY, p, SIZE_MAX);
}

OPERATOR(void, _ZdlPvSt11align_val_t, (void *p, size_t alignment))
{
    cxx_free_aligned(are_ours() ? CXX_NEW_ALIGNED : CXX_ANY, p, SIZE_MAX, alignment);
}

#define DELETE(name, parameters, form, size, next)                                                 \
    OPERATOR(void, name, parameters)                                                               \
    {                                                                                              \
        if (are_ours())                                                                            \
            cxx_free(form, p, size);                                                               \
        else                                                                                       \
            cxx_bound.next;                                                                        \
    }

#define DELETE_ALIGNED(name, parameters, form, size, next)                                         \
    OPERATOR(void, name, parameters)                                                               \
    {                                                                                              \
        if (are_ours())                                                                            \
            cxx_free_aligned(form, p, size, alignment);                                            \
        else                                                                                       \
            cxx_bound.next;                                                                        \
    }

DELETE(_ZdaPv, (void *p), CXX_NEW_ARRAY, SIZE_MAX, end(p))
DELETE(_ZdlPvm, (void *p, size_t size), CXX_NEW, size, end(p))
DELETE(_ZdaPvm, (void *p, size_t size), CXX_NEW_ARRAY, size, end_array(p))

/* What is passed on beside p is known to nobody who gets p alone. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
DELETE_ALIGNED(_ZdaPvSt11align_val_t, (void *p, size_t alignment), CXX_NEW_ARRAY_ALIGNED, SIZE_MAX,
               end_aligned(p, alignment))
DELETE(_ZdlPvRKSt9nothrow_t, (void *p, const void *tag), CXX_NEW, SIZE_MAX, end(p))
DELETE(_ZdaPvRKSt9nothrow_t, (void *p, const void *tag), CXX_NEW_ARRAY, SIZE_MAX, end_array(p))
DELETE_ALIGNED(_ZdlPvmSt11align_val_t, (void *p, size_t size, size_t alignment), CXX_NEW_ALIGNED,
               size, end_aligned(p, alignment))
DELETE_ALIGNED(_ZdaPvmSt11align_val_t, (void *p, size_t size, size_t alignment),
               CXX_NEW_ARRAY_ALIGNED, size, end_array_aligned(p, alignment))
DELETE_ALIGNED(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t alignment, const void *tag),
               CXX_NEW_ALIGNED, SIZE_MAX, end_aligned(p, alignment))
DELETE_ALIGNED(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t alignment, const void *tag),
               CXX_NEW_ARRAY_ALIGNED, SIZE_MAX, end_array_aligned(p, alignment))
#pragma GCC diagnostic pop

#endif
