/*
 * C++ new and delete, under their mangled names, so that the library needs no C++ runtime: a C
 * program must not load one. What only the runtime can do (ask for the new-handler, throw
 * bad_alloc) is called through weak symbols, which exist exactly when somebody can call these.
 *
 * Itanium C++ ABI names: Zn new, Zd delete; w scalar, a array; m size_t; St11align_val_t alignment;
 * RKSt9nothrow_t nothrow.
 */
#ifndef FH_NO_INTERPOSE

#include "face/face.h"

typedef void (*new_handler)(void);
extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak)); /* std::get_new_handler() */
extern _Noreturn void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

static void *allocate_any(size_t alignment, size_t size)
{
    if (alignment <= 16) return fh_malloc(size);
    return base_is_pow2(alignment) ? fh_aligned_alloc(alignment, size) : NULL;
}

/* [new.delete.single]: call the handler until memory is found; without a handler, throw. A handler
 * may itself throw, through this frame. */
static FH_COLD void *new_slow(size_t alignment, size_t size, bool nothrow)
{
    for (;;) {
        new_handler handler = _ZSt15get_new_handlerv ? _ZSt15get_new_handlerv() : NULL;
        if (handler == NULL && nothrow) return NULL;
        if (handler == NULL && _ZSt17__throw_bad_allocv) _ZSt17__throw_bad_allocv();
        if (handler == NULL) base_abort();
        handler();
        void *p = allocate_any(alignment, size);
        if (p) return p;
    }
}

PUBLIC void *_Znwm(size_t size)
{
    void *p = fh_malloc(size);
    return LIKELY(p) ? p : new_slow(16, size, false);
}

PUBLIC void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow)
{
    (void)nothrow;
    void *p = fh_malloc(size);
    return LIKELY(p) ? p : new_slow(16, size, true);
}

PUBLIC void *_ZnwmSt11align_val_t(size_t size, size_t alignment)
{
    void *p = allocate_any(alignment, size);
    return LIKELY(p) ? p : new_slow(alignment, size, false);
}

PUBLIC void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow)
{
    (void)nothrow;
    void *p = allocate_any(alignment, size);
    return LIKELY(p) ? p : new_slow(alignment, size, true);
}

#define SAME(name, parameters, target) PUBLIC void *name parameters __attribute__((alias(#target)))
SAME(_Znam, (size_t), _Znwm);
SAME(_ZnamRKSt9nothrow_t, (size_t, const void *), _ZnwmRKSt9nothrow_t);
SAME(_ZnamSt11align_val_t, (size_t, size_t), _ZnwmSt11align_val_t);
SAME(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t, size_t, const void *),
     _ZnwmSt11align_val_tRKSt9nothrow_t);

/* Sizes and alignments are known from the address. */
static void delete_any(void *p)
{
    fh_free(p);
}

#define DELETE(name)                                                                               \
    PUBLIC void name(void *p)                                                                      \
    {                                                                                              \
        delete_any(p);                                                                             \
    }
DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE(_ZdlPvm)
DELETE(_ZdaPvm)
DELETE(_ZdlPvRKSt9nothrow_t)
DELETE(_ZdaPvRKSt9nothrow_t)
DELETE(_ZdlPvSt11align_val_t)
DELETE(_ZdaPvSt11align_val_t)
DELETE(_ZdlPvmSt11align_val_t)
DELETE(_ZdaPvmSt11align_val_t)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t)

#endif
