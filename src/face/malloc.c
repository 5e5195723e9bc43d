/*
 * The malloc family. Each function is a fast path and, for everything else, one call: start-up,
 * threads without a heap, errno and odd sizes live in the slow ones.
 *
 * What glibc 2.36 and C23 leave open, or say differently, is decided in tests/face/abi_test.c.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "face/face.h"
#include "os/os.h"
#include "span/purger.h"

/* ---- slow halves ------------------------------------------------------------------------------- */

static FH_COLD void *fail_nomem(void)
{
    errno = ENOMEM;
    return NULL;
}

/* Whoever counts is told behind the allocation as well: a large block is most of the peak, and may be
 * gone before the next. */
FH_INLINE void *taken(void *p)
{
    if (UNLIKELY(heap_config.tick != NULL)) heap_config.tick();
    return p;
}

static FH_NOINLINE void *malloc_slow(size_t size)
{
    if (UNLIKELY(arena.size == 0) && !face_start()) return fail_nomem();
    bool zeroed;
    void *p = heap_allocate(heap_self, size, &zeroed);
    return LIKELY(p) ? taken(p) : fail_nomem();
}

static FH_NOINLINE void free_slow(void *p)
{
    if (p != NULL) heap_config.bad_pointer("free", p);
}

/* The list ran dry: every so many calls, so no detour through the general case. */
static FH_NOINLINE void *malloc_small_slow(unsigned size_class)
{
    if (UNLIKELY(arena.size == 0) && !face_start()) return fail_nomem();
    void *p = heap_allocate_slow(heap_self, size_class);
    return LIKELY(p) ? p : fail_nomem();
}

FH_INLINE void *malloc_inline(size_t size)
{
    if (UNLIKELY(size > SMALL_MAX)) return malloc_slow(size);
    void *p = heap_take(heap_self, class_of_small(size));
    return LIKELY(p) ? p : malloc_small_slow(class_of_small(size));
}

FH_INLINE void free_inline(void *p)
{
    if (UNLIKELY(!heap_give(heap_self, p))) free_slow(p);
}

/* The alignment is a power of two. */
static void *aligned_inline(size_t alignment, size_t size)
{
    if (UNLIKELY(arena.size == 0) && !face_start()) return NULL;
    return taken(heap_allocate_aligned(heap_self, alignment, size));
}

static FH_NOINLINE void *calloc_slow(size_t size)
{
    if (UNLIKELY(arena.size == 0) && !face_start()) return fail_nomem();
    bool zeroed;
    void *p = heap_allocate(heap_self, size, &zeroed);
    if (UNLIKELY(!p)) return fail_nomem();
    if (!zeroed) memset(p, 0, size);
    return taken(p);
}

/* ---- the family ---------------------------------------------------------------------------------- */

PUBLIC void *fh_malloc(size_t size)
{
    return malloc_inline(size);
}

PUBLIC void fh_free(void *p)
{
    free_inline(p);
}

PUBLIC void *fh_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) return fail_nomem();
    if (LIKELY(bytes <= SMALL_MAX)) {
        void *p = heap_take(heap_self, class_of_small(bytes));
        if (LIKELY(p)) return memset(p, 0, bytes);
    }
    return calloc_slow(bytes);
}

PUBLIC void *fh_realloc(void *p, size_t size)
{
    if (p == NULL) return malloc_inline(size);
    if (size == 0) {
        if (UNLIKELY(!heap_give(heap_self, p))) heap_config.bad_pointer("realloc", p);
        return NULL;
    }
    void *new = heap_reallocate(heap_self, p, size);
    if (UNLIKELY(!new)) return fail_nomem();
    return size <= SMALL_MAX ? new : taken(new);
}

PUBLIC void *fh_reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) return fail_nomem();
    return fh_realloc(p, bytes);
}

PUBLIC void *fh_aligned_alloc(size_t alignment, size_t size)
{
    if (!base_is_pow2(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    void *p = aligned_inline(alignment, size);
    return LIKELY(p) ? p : fail_nomem();
}

PUBLIC int fh_posix_memalign(void **p, size_t alignment, size_t size)
{
    if (!base_is_pow2(alignment) || alignment % sizeof(void *)) return EINVAL;
    void *block = aligned_inline(alignment, size);
    if (block == NULL) return ENOMEM;
    *p = block;
    return 0;
}

PUBLIC void fh_free_sized(void *p, size_t size)
{
    if (UNLIKELY(!heap_give_sized(heap_self, p, size))) free_slow(p);
}

/* A wrong alignment is found where the block does not happen to have it. */
PUBLIC void fh_free_aligned_sized(void *p, size_t alignment, size_t size)
{
    if (UNLIKELY((uintptr_t)p & (alignment - 1)))
        face_bad_alignment(p, alignment);
    else
        fh_free_sized(p, size);
}

PUBLIC size_t fh_malloc_usable_size(const void *p)
{
    return p ? heap_usable_size(p, "malloc_usable_size") : 0;
}

PUBLIC int fh_malloc_trim(size_t pad)
{
    /* `pad` is what glibc leaves at the top of its heap; here nothing is worth leaving. */
    (void)pad;
    if (arena.size == 0) return 0;
    uint64_t before = __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED);
    heap_flush(heap_self);
    purger_run_now();
    return __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED) > before;
}

/* ---- under their own names ------------------------------------------------------------------------ */

#ifndef FH_NO_INTERPOSE

PUBLIC void *malloc(size_t size)
{
    return malloc_inline(size);
}

PUBLIC void free(void *p)
{
    free_inline(p);
}

/* glibc rounds odd alignments up; so do we, since its callers may rely on it. */
PUBLIC void *memalign(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    size_t power = 16;
    while (power < alignment) power <<= 1;
    return fh_aligned_alloc(power, size);
}

PUBLIC void *valloc(size_t size)
{
    return fh_aligned_alloc(os_page_size(), size);
}

PUBLIC void *pvalloc(size_t size)
{
    size_t page = os_page_size();
    if (size > SIZE_MAX - page) return fail_nomem();
    return fh_aligned_alloc(page, base_round_up(size ? size : 1, page));
}

#include "face/aliases.h"

#endif
