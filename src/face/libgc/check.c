/*
 * Checks that preprocessors of pointer arithmetic call, and functions of no effect here that programs call all the
 * same.
 */
#include <stdint.h>

#include "face/libgc/libgc.h"

typedef void two_fn(void *p, void *q);
typedef void one_fn(void *p);

static void two_different(void *p, void *q)
{
    (void)p;
    (void)q;
    libgc_stop("GC_same_obj: two pointers into different objects; stopping");
}

static void not_valid(void *p)
{
    (void)p;
    libgc_stop("GC_is_valid_displacement: a pointer to no object; stopping");
}

static void not_visible(void *p)
{
    (void)p;
    libgc_stop("GC_is_visible: memory that the collector does not look into; stopping");
}

GC_API two_fn *GC_same_obj_print_proc = two_different;
GC_API one_fn *GC_is_valid_displacement_print_proc = not_valid;
GC_API one_fn *GC_is_visible_print_proc = not_visible;

GC_API void *GC_same_obj(void *p, void *q)
{
    if (GC_base(p) != GC_base(q)) GC_same_obj_print_proc(p, q);
    return p;
}

GC_API void *GC_is_valid_displacement(void *p)
{
    if (GC_is_heap_ptr(p) && GC_base(p) == NULL) GC_is_valid_displacement_print_proc(p);
    return p;
}

/* Whether the collector would see a store there is not found out: it is taken to be so. */
GC_API void *GC_is_visible(void *p)
{
    return p;
}

GC_API void *GC_pre_incr(void **p, ptrdiff_t bytes)
{
    GC_same_obj((char *)*p + bytes, *p);
    return *p = (char *)*p + bytes;
}

GC_API void *GC_post_incr(void **p, ptrdiff_t bytes)
{
    void *was = *p;
    GC_same_obj((char *)was + bytes, was);
    *p = (char *)was + bytes;
    return was;
}

/* The caller's argument lives until here. */
GC_API void GC_noop1(GC_word value)
{
    __asm__ volatile("" ::"r"(value) : "memory");
}

/* Frames are searched from the stack pointer on, so what is below it keeps nothing. */
GC_API void *GC_clear_stack(void *p)
{
    return p;
}
