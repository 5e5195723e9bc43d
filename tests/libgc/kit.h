/*
 * For tests of the ABI: compiled against the original's headers and run over either library, so that what is asserted
 * is what the original does too. The stack is searched conservatively: so that "is collected" is a statement about
 * many objects of which a few may be kept by leftovers on the stack.
 */
#ifndef TESTS_LIBGC_KIT_H
#define TESTS_LIBGC_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kit/segv.h" /* pages may be watched by faults */

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc/gc.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>

#define MANY 200
#define MOST (MANY * 9 / 10)

/* Overwrites what calls that have returned left below the caller's frame. */
static __attribute__((noinline, unused)) void stack_clear(void)
{
    volatile char room[16384];
    memset((void *)room, 0, sizeof room);
    __asm__ volatile("" ::"r"(room) : "memory");
}

static __attribute__((noinline, unused)) void collect(void)
{
    for (int i = 0; i < 3; i++) {
        stack_clear();
        GC_gcollect();
    }
}

/* An address that no search finds. */
#define HIDDEN(p) (~(uintptr_t)(p))

#endif
