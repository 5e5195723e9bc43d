/*
 * calls_state: libfreehold-hardened-calls.so.1, bounds of blocks checked in calls of libc.
 *
 * It stands before libc in the order of symbols (it is preloaded), and so is what programs and libraries call by the
 * names of memcpy, strcpy, read, sprintf and their kin, also in their fortified forms. Each looks whether its
 * pointers are blocks of the hardened heap, asks that heap how much room there is behind them, and then lets libc
 * do the work.
 *
 *     memcpy(to, from, n)     to and from outside of the heap: libc's, after a subtraction and an addition for each
 *                             range; this is the path of most calls
 *                             else: room, report, libc's
 *
 * What must hold: it works from the first instruction on. The dynamic linker runs resolvers of other libraries
 * before this one is relocated, and constructors before ours; they call memcpy. Until our constructor has looked
 * libc's functions up all ranges are zero, which means the long way, and there nothing is needed but this library's own
 * code: loops over bytes, no pointer that would have to be relocated. What no loop can stand in for (read, sprintf)
 * is looked up at each call until then. And nothing here allocates or takes a lock later on: what is
 * async-signal-safe in libc stays so.
 *
 * The addresses of libc's functions, to which every call jumps, are sealed as soon as all of this is known.
 *
 * Rejected: dlsym at the first call of each function (dlsym calls calloc, which calls memset); RTLD_NEXT through
 * IFUNC (resolved before libc is relocated); own fast copies (libc's know the machine better).
 */
#ifndef FACE_HARDENED_CALLS_STATE_H
#define FACE_HARDENED_CALLS_STATE_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wchar.h>

#include "base/base.h"
#include "face/hardened/calls.h"
#include "face/hardened/room.h"

#define PUBLIC __attribute__((visibility("default")))

/* libc's, that no header declares. */
_Noreturn void __chk_fail(void);
int __vsnprintf_chk(char *to, size_t most, int flag, size_t bound, const char *format, va_list);
int __vsprintf_chk(char *to, int flag, size_t bound, const char *format, va_list);
char *__fgets_chk(char *to, size_t bound, int n, FILE *file);
char *__fgets_unlocked_chk(char *to, size_t bound, int n, FILE *file);

/* What is called in libc. memcpy is not: memmove takes the same instructions there, and programs that were linked
 * against memcpy@GLIBC_2.2.5 may overlap. */
#define CALLS_NEXT(X)                                                                              \
    X(memmove)                                                                                     \
    X(memset)                                                                                      \
    X(memcmp)                                                                                      \
    X(memchr)                                                                                      \
    X(strlen)                                                                                      \
    X(strnlen)                                                                                     \
    X(strcpy)                                                                                      \
    X(strncpy)                                                                                     \
    X(strcat)                                                                                      \
    X(strncat)                                                                                     \
    X(stpcpy)                                                                                      \
    X(stpncpy)                                                                                     \
    X(strdup)                                                                                      \
    X(strndup)                                                                                     \
    X(memccpy)                                                                                     \
    X(swab)                                                                                        \
    X(wcslen)                                                                                      \
    X(wmemset)                                                                                     \
    X(read)                                                                                        \
    X(pread)                                                                                       \
    X(pread64)                                                                                     \
    X(readv)                                                                                       \
    X(recv)                                                                                        \
    X(recvfrom)                                                                                    \
    X(write)                                                                                       \
    X(pwrite)                                                                                      \
    X(pwrite64)                                                                                    \
    X(writev)                                                                                      \
    X(send)                                                                                        \
    X(sendto)                                                                                      \
    X(getcwd)                                                                                      \
    X(fread)                                                                                       \
    X(fread_unlocked)                                                                              \
    X(fwrite)                                                                                      \
    X(fwrite_unlocked)                                                                             \
    X(fgets)                                                                                       \
    X(fgets_unlocked)                                                                              \
    X(fputs)                                                                                       \
    X(puts)                                                                                        \
    X(vsnprintf)                                                                                   \
    X(vsprintf) X(__vsnprintf_chk) X(__vsprintf_chk) X(__fgets_chk) X(__fgets_unlocked_chk)

#define CALLS_POINTER(name) __typeof__(name) *name;
struct calls_next {
    CALLS_NEXT(CALLS_POINTER)
};
#undef CALLS_POINTER

/* p is outside if p - base + minus_size carries; all zero: nothing is. */
struct calls_range {
    uintptr_t base, minus_size;
};

struct calls {
    struct calls_range written[2], read[2]; /* what the fast path asks: the heap, sampled blocks */
    struct calls_next next;
    struct fh_calls with; /* the heap; all zero before there is one */
    bool resolved;        /* `next` */
} __attribute__((aligned(65536)));
extern struct calls calls;

/* Who calls what. */
struct calls_site {
    const char *name;
    const void *caller;
};
#define SITE(name)                                                                                 \
    (struct calls_site)                                                                            \
    {                                                                                              \
        (name), __builtin_return_address(0)                                                        \
    }

/* Looks libc's functions up, before our constructor has done it. */
const struct calls_next *calls_next_early(void);

/* For functions that have no loop of our own to stand in. */
FH_INLINE const struct calls_next *calls_next(void)
{
    return LIKELY(calls.resolved) ? &calls.next : calls_next_early();
}

/* ---- is it a block? ------------------------------------------------------------------------------------------- */

FH_INLINE bool calls_outside(const struct calls_range range[2], const void *p)
{
    uintptr_t sum, at = (uintptr_t)p;
    return LIKELY(__builtin_add_overflow(at - range[0].base, range[0].minus_size, &sum)) &&
           LIKELY(__builtin_add_overflow(at - range[1].base, range[1].minus_size, &sum));
}

/* Nothing is to be checked, and libc's functions are known. */
FH_INLINE bool calls_need_none(const void *written, const void *read)
{
    return calls_outside(calls.written, written) && calls_outside(calls.read, read);
}

/* Bytes from p on that may be written or read; SIZE_MAX: not ours, or not to be checked. */
FH_INLINE size_t calls_room(uintptr_t p, bool writes)
{
    const struct fh_calls *with = &calls.with;
    bool in_heap = p - with->heap_base < with->heap_size;
    if (!in_heap && p - with->sample_base >= with->sample_size) return SIZE_MAX;
    if (with->level < (writes ? 1 : 2)) return SIZE_MAX;
    size_t left = in_heap ? room_quick(with->space, p) : 0;
    return LIKELY(left) ? left : with->room(p);
}

/* The heap's own code clears what is freed already. */
FH_INLINE bool calls_own(struct calls_site site)
{
    return (uintptr_t)site.caller - calls.with.own_base < calls.with.own_size;
}

/* True for most that is right, at no level more than is asked for; false is to be looked at again. */
FH_INLINE bool calls_fit(const void *p, size_t n, bool writes)
{
    const struct fh_calls *with = &calls.with;
    if (calls_outside(writes ? calls.written : calls.read, p)) return true;
    return (uintptr_t)p - with->heap_base < with->heap_size &&
           n <= room_quick(with->space, (uintptr_t)p);
}

FH_INLINE void calls_refuse(struct calls_site site, const void *p, size_t n, bool writes)
{
    calls.with.refuse(site.name, p, n, writes, site.caller);
}

/* A report if it is wrong. */
void calls_check(struct calls_site site, uintptr_t p, size_t n, bool writes);

FH_INLINE void calls_write(struct calls_site site, const void *p, size_t n)
{
    if (UNLIKELY(!calls_fit(p, n, true))) calls_check(site, (uintptr_t)p, n, true);
}

FH_INLINE void calls_read(struct calls_site site, const void *p, size_t n)
{
    if (UNLIKELY(!calls_fit(p, n, false))) calls_check(site, (uintptr_t)p, n, false);
}

/* The fortified forms know a size of their own. Ours first: it says more. */
FH_INLINE void calls_fortified(struct calls_site site, const void *p, size_t n, size_t bound)
{
    if (LIKELY(n <= bound)) return;
    calls_write(site, p, n);
    __chk_fail();
}

/* count * size; SIZE_MAX if that is more. */
FH_INLINE size_t calls_bytes(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

/* In a loop: keeps a compiler from making it a call of what it stands for. */
FH_INLINE void calls_stay_loop(void)
{
    __asm__ volatile("" ::: "memory");
}

/* ---- what the checked forms are made of; libc's, or before that is known loops -------------------------------------- */

void calls_move_early(void *to, const void *from, size_t n);
FH_INLINE void calls_move(void *to, const void *from, size_t n)
{
    if (LIKELY(calls.resolved))
        calls.next.memmove(to, from, n);
    else
        calls_move_early(to, from, n);
}
void calls_fill(void *to, int value, size_t n);
const void *calls_find(const void *in, int value, size_t n);
/* strnlen, no further than the block; a report if that says no end. */
size_t calls_length(struct calls_site site, const char *s, size_t most);
/* How long the string in a block is that is to be added to: the whole rest of the block if it has no end. */
size_t calls_length_written(const char *s);

#endif
