/*
 * base: what every floor stands on: attributes, assertions, bits, atomics, locks, formatting.
 *
 * Nothing here knows a page, a thread or an allocation. Nothing here allocates, and nothing here
 * calls more of libc than memcpy and memset, because all of it runs before main, inside malloc,
 * in signal handlers and in a thread that libc has never heard of.
 *
 * The four words of assertion (see CONTRIBUTING.md):
 *   ASSERT      proven; debug builds only
 *   ASSERT_HOT  proven, on a measured path; checked builds only
 *   CHECK       cheap and always on: the caller's corruption ends in one line and abort
 *   NEVER       believed false, and handled all the same
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FH_INLINE static inline __attribute__((always_inline))
#define FH_NOINLINE __attribute__((noinline))
#define FH_COLD __attribute__((cold, noinline))
#define FH_PURE __attribute__((pure))

#if defined(__SANITIZE_THREAD__)
#define FH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FH_TSAN 1
#endif
#endif

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NEVER(x) __builtin_expect(!!(x), 0)

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define TIB ((size_t)1 << 40)

/* SIGABRT to this thread, as abort() does it, but from any context. */
_Noreturn FH_COLD void base_abort(void);
_Noreturn FH_COLD void base_panic(const char *what, const char *file, int line);

#define CHECK(x) (LIKELY(x) ? (void)0 : base_panic(#x, __FILE__, __LINE__))

#ifdef FH_DEBUG
#define ASSERT(x) CHECK(x)
#else
#define ASSERT(x) ((void)0)
#endif

#ifdef FH_CHECKED
#define ASSERT_HOT(x) CHECK(x)
#else
#define ASSERT_HOT(x) ((void)0)
#endif

FH_INLINE size_t base_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

FH_INLINE size_t base_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* `align` is a power of two in both. The round-up wraps for sizes within `align` of SIZE_MAX;
 * callers bound their sizes first. */
FH_INLINE size_t base_round_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

FH_INLINE size_t base_round_down(size_t n, size_t align)
{
    return n & ~(align - 1);
}

FH_INLINE bool base_is_pow2(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Index of the highest set bit; n > 0. */
FH_INLINE unsigned base_log2(size_t n)
{
    return 63u - (unsigned)__builtin_clzl(n);
}

/* Index of the lowest set bit; n > 0. */
FH_INLINE unsigned base_ctz(uint64_t n)
{
    return (unsigned)__builtin_ctzll(n);
}

FH_INLINE void base_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* Clears memory that is not read again, which a compiler would leave out: addresses in a frame that
 * ends would keep objects, found there by a later search of the stack. */
FH_INLINE void base_forget(void *start, size_t size)
{
    __builtin_memset(start, 0, size);
    __asm__ volatile("" ::"r"(start) : "memory");
}

/* Relaxed accesses: the short names keep protocols readable. Every stronger order is spelled out
 * at its place, with its partner. */
#define LOAD(p) atomic_load_explicit((p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define LOAD_ACQUIRE(p) atomic_load_explicit((p), memory_order_acquire)
#define STORE_RELEASE(p, v) atomic_store_explicit((p), (v), memory_order_release)

#endif
