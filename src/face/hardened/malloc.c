/*
 * The malloc family of the hardened library. What face/malloc.c says of start-up and odd arguments holds here; each
 * function tells the policy who called, by what name, and with which kind of call.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "face/cxx.h"
#include "face/hardened/hardened.h"
#include "hard/quick.h"
#include "hard/report.h"
#include "hard/reuse.h"
#include "hard/slot.h"
#include "os/os.h"
#include "span/purger.h"

/* ---- this thread's record --------------------------------------------------------------------------- */

struct hard_thread *hardened_self_slow(void)
{
    if (hard.size == 0 && !face_start()) return NULL;
    return hard_attach();
}

FH_INLINE struct hard_thread *self(void)
{
    return hardened_self();
}

void *hardened_no_memory(const char *name, size_t size)
{
    struct hard_fault fault = {.what = HARD_NO_MEMORY, .call = name, .size = size};
    if (options.abort_on_null) hard_report(&fault);
    errno = ENOMEM;
    return NULL;
}

/* ---- allocate ---------------------------------------------------------------------------------------- */

static FH_NOINLINE void *allocate(size_t size, const struct hard_call *call)
{
    struct hard_thread *thread = self();
    bool zeroed;
    void *p = LIKELY(thread) ? hard_allocate(thread, size, call, &zeroed) : NULL;
    if (UNLIKELY(size > HARD_SMALL_MOST)) hardened_tick();
    return LIKELY(p) ? p : hardened_no_memory(call->name, size);
}

static void *allocate_zeroed(size_t size, const struct hard_call *call)
{
    struct hard_thread *thread = self();
    bool zeroed = false;
    void *p = thread ? hard_allocate(thread, size, call, &zeroed) : NULL;
    if (p == NULL) return hardened_no_memory(call->name, size);
    if (!zeroed) memset(p, 0, size);
    if (size > HARD_SMALL_MOST) hardened_tick();
    return p;
}

static void *allocate_aligned(size_t alignment, size_t size, const struct hard_call *call)
{
    struct hard_thread *thread = self();
    void *p = thread ? hard_allocate_aligned(thread, alignment, size, call) : NULL;
    hardened_tick();
    return p;
}

static FH_NOINLINE void release(void *p, size_t size, const struct hard_call *call)
{
    if (UNLIKELY(p == NULL)) return;
    if (UNLIKELY(hard.size == 0) && !face_start()) return;
    hard_free(hard_self, p, size, call);
}

/* What quick.h does not do, out of its way. `site` is the program's. */
#define CALL_FROM(call_name, call_kind, call_site)                                                 \
    (&(struct hard_call){.name = (call_name),                                                      \
                         .site = (call_site),                                                      \
                         .kind = (uint8_t)(call_kind),                                             \
                         .bucket = HARD_BY_SITE})

static FH_NOINLINE void *malloc_slow(size_t size, uintptr_t site, unsigned kind)
{
    return allocate(size, CALL_FROM("malloc", kind, site));
}

static FH_NOINLINE void *calloc_slow(size_t size, uintptr_t site, unsigned kind)
{
    return allocate_zeroed(size, CALL_FROM("calloc", kind, site));
}

static void *nothing(size_t size, uintptr_t site, unsigned kind)
{
    (void)size, (void)site, (void)kind;
    return NULL;
}

static FH_NOINLINE void free_slow(void *p, uintptr_t site)
{
    release(p, SIZE_MAX, CALL_FROM("free", KIND_MALLOC, site));
}

FH_INLINE void *malloc_from(size_t size, uintptr_t site)
{
    return quick_take(hard_self, size, KIND_MALLOC, site, malloc_slow);
}

FH_INLINE void free_from(void *p, uintptr_t site)
{
    struct hard_thread *thread = hard_self;
    const struct region *region = quick_claim(thread, p, SIZE_MAX, KIND_MALLOC);
    if (LIKELY(region))
        quick_end(thread, region, (uintptr_t)p);
    else
        free_slow(p, site);
}

PUBLIC void *fh_malloc(size_t size)
{
    return malloc_from(size, CALLER);
}

PUBLIC void fh_free(void *p)
{
    free_from(p, CALLER);
}

PUBLIC void *fh_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return hardened_no_memory("calloc", SIZE_MAX);
    if (quick_is_clear(bytes))
        return quick_take(hard_self, bytes, KIND_MALLOC, CALLER, calloc_slow);
    void *p = quick_take(hard_self, bytes, KIND_MALLOC, CALLER, nothing);
    return LIKELY(p) ? memset(p, 0, bytes) : calloc_slow(bytes, CALLER, KIND_MALLOC);
}

static void *reallocate(void *p, size_t size, const struct hard_call *call)
{
    if (p == NULL) return allocate(size, call);
    if (size == 0) {
        release(p, SIZE_MAX, call);
        return NULL;
    }
    struct hard_thread *thread = self();
    void *new = thread ? hard_reallocate(thread, p, size, call) : NULL;
    if (size > HARD_SMALL_MOST) hardened_tick();
    return LIKELY(new) ? new : hardened_no_memory(call->name, size);
}

PUBLIC void *fh_realloc(void *p, size_t size)
{
    return reallocate(p, size, CALL("realloc"));
}

PUBLIC void *fh_reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return hardened_no_memory("reallocarray", SIZE_MAX);
    return reallocate(p, bytes, CALL("reallocarray"));
}

static void *aligned_alloc_for(size_t alignment, size_t size, const struct hard_call *call)
{
    if (!base_is_pow2(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    void *p = allocate_aligned(alignment, size, call);
    return LIKELY(p) ? p : hardened_no_memory(call->name, size);
}

PUBLIC void *fh_aligned_alloc(size_t alignment, size_t size)
{
    return aligned_alloc_for(alignment, size, CALL("aligned_alloc"));
}

PUBLIC int fh_posix_memalign(void **p, size_t alignment, size_t size)
{
    if (!base_is_pow2(alignment) || alignment % sizeof(void *)) return EINVAL;
    void *block = allocate_aligned(alignment, size, CALL("posix_memalign"));
    if (block == NULL) {
        int before = errno;
        hardened_no_memory("posix_memalign", size);
        errno = before;
        return ENOMEM;
    }
    *p = block;
    return 0;
}

PUBLIC void fh_free_sized(void *p, size_t size)
{
    release(p, size, CALL("free_sized"));
}

/* What was asked for is not kept: what lies at a multiple of the alignment may have been asked for so. */
static void check_alignment(const void *p, size_t alignment, const char *name)
{
    if (base_is_pow2(alignment) && (uintptr_t)p % alignment == 0) return;
    struct hard_fault fault = {
        .what = HARD_ALIGNMENT, .call = name, .address = p, .size = alignment};
    hard_report(&fault);
}

PUBLIC void fh_free_aligned_sized(void *p, size_t alignment, size_t size)
{
    if (p) check_alignment(p, alignment, "free_aligned_sized");
    release(p, size, CALL("free_aligned_sized"));
}

PUBLIC size_t fh_malloc_usable_size(const void *p)
{
    if (p == NULL || !face_start()) return 0;
    return hard_usable_size(p, "malloc_usable_size");
}

PUBLIC int fh_malloc_trim(size_t pad)
{
    (void)pad;
    if (hard.size == 0) return 0;
    uint64_t before = __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED);
    hard_flush(hard_self, false);
    if (hard.measures.reuse) reuse_for_room();
    purger_run_now();
    return __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED) > before;
}

/* ---- for calls made elsewhere ----------------------------------------------------------------------------- */

void *hardened_allocate(size_t size, const struct hard_call *call)
{
    return allocate(size, call);
}

void *hardened_allocate_zeroed(size_t count, size_t size, const struct hard_call *call)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return hardened_no_memory(call->name, SIZE_MAX);
    return allocate_zeroed(bytes, call);
}

void *hardened_allocate_aligned(size_t alignment, size_t size, const struct hard_call *call)
{
    return aligned_alloc_for(alignment, size, call);
}

void *hardened_reallocate(void *p, size_t count, size_t size, const struct hard_call *call)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return hardened_no_memory(call->name, SIZE_MAX);
    return reallocate(p, bytes, call);
}

/* ---- C++ ---------------------------------------------------------------------------------------------- */

static bool runtime_allocates;

void cxx_runtime_allocates(void)
{
    __atomic_store_n(&runtime_allocates, true, __ATOMIC_RELAXED);
}

static struct hard_call cxx_call(enum cxx_form form, void *site, bool makes)
{
    static const struct {
        const char *make, *end;
        uint8_t kind;
    } forms[] = {
        [CXX_NEW] = {"operator new", "operator delete", KIND_NEW},
        [CXX_NEW_ARRAY] = {"operator new[]", "operator delete[]", KIND_NEW_ARRAY},
        [CXX_NEW_ALIGNED] = {"aligned operator new", "aligned operator delete", KIND_NEW_ALIGNED},
        [CXX_NEW_ARRAY_ALIGNED] = {"aligned operator new[]", "aligned operator delete[]",
                                   KIND_NEW_ARRAY_ALIGNED},
        [CXX_ANY] = {"operator new", "operator delete", KIND_ANY},
    };
    unsigned kind = forms[form].kind;
    if (!makes && __atomic_load_n(&runtime_allocates, __ATOMIC_RELAXED)) kind = KIND_ANY;
    return (struct hard_call){.name = makes ? forms[form].make : forms[form].end,
                              .site = (uintptr_t)site,
                              .kind = (uint8_t)kind,
                              .bucket = HARD_BY_SITE};
}

/* Its power of two, for a form that was told it; what is none is refused when the block is made. */
static uint8_t power_of(enum cxx_form form, size_t alignment)
{
    if (form != CXX_NEW_ALIGNED && form != CXX_NEW_ARRAY_ALIGNED) return 0;
    return alignment ? (uint8_t)base_ctz(alignment) : 0;
}

/* By new and new[], as most are. */
static_assert(CXX_NEW + 1 == CXX_NEW_ARRAY && KIND_NEW + 1 == KIND_NEW_ARRAY, "kinds as forms");
FH_INLINE bool form_is_quick(enum cxx_form form)
{
    return form == CXX_NEW || form == CXX_NEW_ARRAY;
}

static FH_NOINLINE void *new_slow(size_t size, uintptr_t site, unsigned kind)
{
    struct hard_call call = cxx_call(kind - KIND_NEW + CXX_NEW, (void *)site, true);
    return allocate(size, &call);
}

void *cxx_allocate(enum cxx_form form, size_t size, void *site)
{
    unsigned kind = (unsigned)form - CXX_NEW + KIND_NEW;
    if (form_is_quick(form)) return quick_take(hard_self, size, kind, (uintptr_t)site, new_slow);
    struct hard_call call = cxx_call(form, site, true);
    return allocate(size, &call);
}

void *cxx_allocate_aligned(enum cxx_form form, size_t alignment, size_t size, void *site)
{
    struct hard_call call = cxx_call(form, site, true);
    call.aligned = power_of(form, alignment);
    if (alignment <= 16) return allocate(size, &call);
    return base_is_pow2(alignment) ? allocate_aligned(alignment, size, &call) : NULL;
}

void cxx_free_aligned(enum cxx_form form, void *p, size_t size, size_t alignment)
{
    struct hard_call call = cxx_call(form, NULL, false);
    call.aligned = power_of(form, alignment);
    release(p, size, &call);
}

static FH_NOINLINE void cxx_free_slow(enum cxx_form form, void *p, size_t size)
{
    struct hard_call call = cxx_call(form, NULL, false);
    release(p, size, &call);
}

void cxx_free(enum cxx_form form, void *p, size_t size)
{
    struct hard_thread *thread = hard_self;
    unsigned kind = (unsigned)form - CXX_NEW + KIND_NEW;
    const struct region *region = form_is_quick(form) ? quick_claim(thread, p, size, kind) : NULL;
    if (LIKELY(region))
        quick_end(thread, region, (uintptr_t)p);
    else
        cxx_free_slow(form, p, size);
}

/* ---- under their own names ------------------------------------------------------------------------------ */

#ifndef FH_NO_INTERPOSE

PUBLIC void *malloc(size_t size)
{
    return malloc_from(size, CALLER);
}

PUBLIC void free(void *p)
{
    free_from(p, CALLER);
}

PUBLIC void *memalign(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    size_t power = 16;
    while (power < alignment) power <<= 1;
    return aligned_alloc_for(power, size, CALL("memalign"));
}

PUBLIC void *valloc(size_t size)
{
    return aligned_alloc_for(os_page_size(), size, CALL("valloc"));
}

PUBLIC void *pvalloc(size_t size)
{
    size_t page = os_page_size();
    if (size > SIZE_MAX - page) return hardened_no_memory("pvalloc", size);
    return aligned_alloc_for(page, base_round_up(size ? size : 1, page), CALL("pvalloc"));
}

#include "face/aliases.h"

#endif
