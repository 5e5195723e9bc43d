/*
 * The malloc family under its other names. Included once by the file that defines malloc, free, memalign, valloc, pvalloc
 * and the fh_ functions, of either policy: an alias must stand beside its target.
 */
#ifndef FACE_ALIASES_H
#define FACE_ALIASES_H

/* An alias does not need its target's attributes: callers see libc's declarations, not these. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif
#define ALIAS(type, name, parameters, target)                                                      \
    PUBLIC type name parameters __attribute__((alias(#target)))

ALIAS(void *, calloc, (size_t, size_t), fh_calloc);
ALIAS(void *, realloc, (void *, size_t), fh_realloc);
ALIAS(void *, reallocarray, (void *, size_t, size_t), fh_reallocarray);
ALIAS(void *, aligned_alloc, (size_t, size_t), fh_aligned_alloc);
ALIAS(int, posix_memalign, (void **, size_t, size_t), fh_posix_memalign);
ALIAS(void, free_sized, (void *, size_t), fh_free_sized);
ALIAS(void, free_aligned_sized, (void *, size_t, size_t), fh_free_aligned_sized);
ALIAS(void, cfree, (void *), free);
ALIAS(int, malloc_trim, (size_t), fh_malloc_trim);
PUBLIC size_t malloc_usable_size(void *p) __attribute__((alias("fh_malloc_usable_size")));

/* Names under which old programs and libraries reach glibc's functions directly. */
ALIAS(void *, __libc_malloc, (size_t), malloc);
ALIAS(void *, __libc_calloc, (size_t, size_t), fh_calloc);
ALIAS(void *, __libc_realloc, (void *, size_t), fh_realloc);
ALIAS(void, __libc_free, (void *), free);
ALIAS(void *, __libc_memalign, (size_t, size_t), memalign);
ALIAS(void *, __libc_valloc, (size_t), valloc);
ALIAS(void *, __libc_pvalloc, (size_t), pvalloc);

#endif
