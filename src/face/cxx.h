/*
 * cxx: what new and delete ask of malloc's policy. The hardened one notes which form a block came by, and
 * whether it goes by the one that belongs to it; for the other all forms are malloc and free.
 */
#ifndef FACE_CXX_H
#define FACE_CXX_H

#include "face/face.h"

enum cxx_form { CXX_NEW, CXX_NEW_ARRAY, CXX_NEW_ALIGNED, CXX_NEW_ARRAY_ALIGNED, CXX_ANY };

#ifdef FH_HARDENED

void *cxx_allocate(enum cxx_form form, size_t size, void *site);
void *cxx_allocate_aligned(enum cxx_form form, size_t alignment, size_t size, void *site);

/* `size` is what the caller says that it was; SIZE_MAX: nothing. */
void cxx_free(enum cxx_form form, void *p, size_t size);
void cxx_free_aligned(enum cxx_form form, void *p, size_t size, size_t alignment);

/* Whether all operators that others call are this library's, and no program's. */
bool cxx_is_ours(void);

/* From now on a block may have come by the runtime's operators, which call malloc. */
void cxx_runtime_allocates(void);

#else

FH_INLINE void *cxx_allocate(enum cxx_form form, size_t size, void *site)
{
    (void)form;
    (void)site;
    return fh_malloc(size);
}

FH_INLINE void *cxx_allocate_aligned(enum cxx_form form, size_t alignment, size_t size, void *site)
{
    (void)form;
    (void)site;
    if (alignment <= 16) return fh_malloc(size);
    return base_is_pow2(alignment) ? fh_aligned_alloc(alignment, size) : NULL;
}

FH_INLINE void cxx_free(enum cxx_form form, void *p, size_t size)
{
    (void)form;
    if (size == SIZE_MAX)
        fh_free(p);
    else
        fh_free_sized(p, size);
}

FH_INLINE void cxx_free_aligned(enum cxx_form form, void *p, size_t size, size_t alignment)
{
    (void)form;
    fh_free_aligned_sized(p, alignment, size == SIZE_MAX ? 0 : size);
}

FH_INLINE void cxx_runtime_allocates(void) {}

#endif
#endif
