/* hardened: what this library's faces share. */
#ifndef FACE_HARDENED_HARDENED_H
#define FACE_HARDENED_HARDENED_H

#include "face/face.h"
#include "hard/slot.h"

#define CALLER ((uintptr_t)__builtin_return_address(0))
#define CALL_IN(call_name, where)                                                                  \
    (&(struct hard_call){                                                                          \
        .name = (call_name), .site = CALLER, .kind = KIND_MALLOC, .bucket = (where)})
#define CALL(call_name) CALL_IN(call_name, HARD_BY_SITE)

/* To be called as memory is taken: `freehold run` wants to know the peak. */
void hardened_tick(void);

struct hard_thread *hardened_self_slow(void);

/* This thread's record; NULL: there is no heap, or no memory for one. */
FH_INLINE struct hard_thread *hardened_self(void)
{
    struct hard_thread *thread = hard_self;
    return LIKELY(thread != &hard_none) ? thread : hardened_self_slow();
}

/* NULL and ENOMEM, or by option abort_on_null the end. */
FH_COLD void *hardened_no_memory(const char *name, size_t size);

/* At the end of the start: tells libfreehold-hardened-calls.so.1, if it is there. */
void calls_offer(int level);

/* The malloc family, for a call made elsewhere; what their namesakes do. */
void *hardened_allocate(size_t size, const struct hard_call *call);
void *hardened_allocate_zeroed(size_t count, size_t size, const struct hard_call *call);
void *hardened_allocate_aligned(size_t alignment, size_t size, const struct hard_call *call);
void *hardened_reallocate(void *p, size_t count, size_t size, const struct hard_call *call);

#endif
