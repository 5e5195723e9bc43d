/*
 * What clang's -fsanitize=alloc-token calls in the place of malloc and new: the same with a token for the type as the last
 * argument, which chooses the bucket. See "Allocation Tokens" in clang's documentation.
 *
 * Of the tokens of typehashpointersplit, the default, the upper half says that the type contains pointers. Where the
 * halves lie depends on -falloc-token-max, which the program knows and we do not: without it they are those of
 * 2^64. A token below 2^32, which that many tokens hardly ever give, is one of fewer, and decides nothing but a bucket
 * among those for pointers, unless option token_max says how many there are. 0 is what the compiler says when it
 * does not know the type: then the call's site decides. So what may hold pointers is never taken for data, which
 * the sweep before reuse passes over; but a program compiled in another mode than the default must not be
 * linked with this: there the halves mean nothing.
 *
 * Clang 22 calls __alloc_token_ and the mangled name (__alloc_token__Znwm); earlier builds dropped an underscore.
 * Not here: the fast ABI, with the token in the name, of which there is no end.
 */
#include <errno.h>

#include "face/cxx.h"
#include "face/hardened/hardened.h"
#include "os/os.h"

enum token_says { TOKEN_UNKNOWN, TOKEN_DATA, TOKEN_TYPE };

static enum token_says token_read(size_t token)
{
    size_t most = (size_t)options.token_max;
    if (token == 0) return TOKEN_UNKNOWN;
    if (most == 0) return token >> 63 ? TOKEN_TYPE : token >> 32 ? TOKEN_DATA : TOKEN_TYPE;
    return token < most / 2 ? TOKEN_DATA : TOKEN_TYPE;
}

/* Tokens that differ little shall not lie in one bucket for that. */
static uintptr_t token_site(size_t token)
{
    uint64_t x = (token ^ hard.site_secret) * 0x9e3779b97f4a7c15;
    return x ^ x >> 32;
}

static struct hard_call token_call(const char *name, size_t token, uintptr_t caller, unsigned kind)
{
    struct hard_call call = {
        .name = name, .site = caller, .kind = (uint8_t)kind, .bucket = HARD_BY_SITE};
    if (UNLIKELY(hard.size == 0)) face_start(); /* the options are read */
    enum token_says says = token_read(token);
    if (says == TOKEN_DATA) call.bucket = HARD_BUCKET_DATA;
    if (says == TOKEN_TYPE) call.site = token_site(token);
    return call;
}

#define TOKEN_CALL(name, kind) struct hard_call call = token_call(name, token, CALLER, kind)

/* ---- C ---------------------------------------------------------------------------------------------- */

PUBLIC void *__alloc_token_malloc(size_t size, size_t token)
{
    TOKEN_CALL("malloc", KIND_MALLOC);
    return hardened_allocate(size, &call);
}

PUBLIC void *__alloc_token_calloc(size_t count, size_t size, size_t token)
{
    TOKEN_CALL("calloc", KIND_MALLOC);
    return hardened_allocate_zeroed(count, size, &call);
}

PUBLIC void *__alloc_token_realloc(void *p, size_t size, size_t token)
{
    TOKEN_CALL("realloc", KIND_MALLOC);
    return hardened_reallocate(p, 1, size, &call);
}

PUBLIC void *__alloc_token_reallocarray(void *p, size_t count, size_t size, size_t token)
{
    TOKEN_CALL("reallocarray", KIND_MALLOC);
    return hardened_reallocate(p, count, size, &call);
}

PUBLIC void *__alloc_token_aligned_alloc(size_t alignment, size_t size, size_t token)
{
    TOKEN_CALL("aligned_alloc", KIND_MALLOC);
    return hardened_allocate_aligned(alignment, size, &call);
}

PUBLIC void *__alloc_token_memalign(size_t alignment, size_t size, size_t token)
{
    TOKEN_CALL("memalign", KIND_MALLOC);
    size_t power = 16;
    while (power < alignment && power <= SIZE_MAX / 4) power <<= 1;
    return hardened_allocate_aligned(power, size, &call);
}

PUBLIC void *__alloc_token_valloc(size_t size, size_t token)
{
    TOKEN_CALL("valloc", KIND_MALLOC);
    return hardened_allocate_aligned(os_page_size(), size, &call);
}

PUBLIC void *__alloc_token_pvalloc(size_t size, size_t token)
{
    TOKEN_CALL("pvalloc", KIND_MALLOC);
    size_t page = os_page_size();
    if (size > SIZE_MAX - page) return hardened_no_memory("pvalloc", size);
    return hardened_allocate_aligned(page, base_round_up(size ? size : 1, page), &call);
}

PUBLIC int __alloc_token_posix_memalign(void **p, size_t alignment, size_t size, size_t token)
{
    TOKEN_CALL("posix_memalign", KIND_MALLOC);
    int before = errno;
    if (!base_is_pow2(alignment) || alignment % sizeof(void *)) return EINVAL;
    void *block = hardened_allocate_aligned(alignment, size, &call);
    errno = before;
    if (block == NULL) return ENOMEM;
    *p = block;
    return 0;
}

/* ---- C++: what fails is left to the operator itself, which throws, or asks the new-handler ---------------- */

#ifdef FH_CXX_OPERATORS

void *_Znwm(size_t size);
void *_Znam(size_t size);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
void *_ZnamSt11align_val_t(size_t size, size_t alignment);
void *_ZnwmRKSt9nothrow_t(size_t size, const void *tag);
void *_ZnamRKSt9nothrow_t(size_t size, const void *tag);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *tag);
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *tag);

/* NULL, too, while the program has operators of its own: those decide then. */
static void *token_new(size_t size, const struct hard_call *call)
{
    bool zeroed;
    struct hard_thread *thread = cxx_is_ours() ? hardened_self() : NULL;
    return thread ? hard_allocate(thread, size, call, &zeroed) : NULL;
}

/* The delete of such a block is told the alignment, too. */
static void *token_new_aligned(size_t alignment, size_t size, struct hard_call *call)
{
    struct hard_thread *thread = cxx_is_ours() ? hardened_self() : NULL;
    if (thread == NULL || !base_is_pow2(alignment)) return NULL;
    call->aligned = (uint8_t)base_ctz(alignment);
    return hard_allocate_aligned(thread, alignment, size, call);
}

#define TOKEN_NEW(operator_name, word, kind, parameters, made, otherwise)                          \
    PUBLIC void *__alloc_token_##operator_name parameters                                          \
    {                                                                                              \
        TOKEN_CALL(word, kind);                                                                    \
        void *p = made;                                                                            \
        return LIKELY(p) ? p : otherwise;                                                          \
    }

#define TOKEN_NEWS(name, word, kind)                                                               \
    TOKEN_NEW(name, word, kind, (size_t size, size_t token), token_new(size, &call), name(size))   \
    TOKEN_NEW(name##RKSt9nothrow_t, word, kind, (size_t size, const void *tag, size_t token),      \
              token_new(size, &call), name##RKSt9nothrow_t(size, tag))                             \
    TOKEN_NEW(name##St11align_val_t, "aligned " word, kind##_ALIGNED,                              \
              (size_t size, size_t alignment, size_t token),                                       \
              token_new_aligned(alignment, size, &call), name##St11align_val_t(size, alignment))   \
    TOKEN_NEW(name##St11align_val_tRKSt9nothrow_t, "aligned " word, kind##_ALIGNED,                \
              (size_t size, size_t alignment, const void *tag, size_t token),                      \
              token_new_aligned(alignment, size, &call),                                           \
              name##St11align_val_tRKSt9nothrow_t(size, alignment, tag))

TOKEN_NEWS(_Znwm, "operator new", KIND_NEW)
TOKEN_NEWS(_Znam, "operator new[]", KIND_NEW_ARRAY)

#define TOKEN_ALIAS(name, target, parameters)                                                      \
    PUBLIC void *__alloc_token_##name parameters __attribute__((alias("__alloc_token_" #target)));

#define TOKEN_ALIASES(name, target)                                                                \
    TOKEN_ALIAS(name, target, (size_t, size_t))                                                    \
    TOKEN_ALIAS(name##RKSt9nothrow_t, target##RKSt9nothrow_t, (size_t, const void *, size_t))      \
    TOKEN_ALIAS(name##St11align_val_t, target##St11align_val_t, (size_t, size_t, size_t))          \
    TOKEN_ALIAS(name##St11align_val_tRKSt9nothrow_t, target##St11align_val_tRKSt9nothrow_t,        \
                (size_t, size_t, const void *, size_t))

TOKEN_ALIASES(Znwm, _Znwm)
TOKEN_ALIASES(Znam, _Znam)

#endif
