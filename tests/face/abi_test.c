/*
 * What the malloc family answers at its edges: one table for us and for glibc 2.36.
 *
 *     LD_PRELOAD=libfreehold.so.1 abi_test freehold
 *     abi_test glibc
 *
 * Each row is a call, the answer that both must give, and errno after it. Where we differ on purpose
 * a second answer holds for glibc, and the row says why. The functions are found by name at run time:
 * the compiler must not know what they do, and each name must lead into the same library, since what
 * is left out binds to glibc and meets blocks it does not know.
 */
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the functions --------------------------------------------------------------------------------- */

static void *(*f_malloc)(size_t);
static void *(*f_calloc)(size_t, size_t);
static void *(*f_realloc)(void *, size_t);
static void *(*f_reallocarray)(void *, size_t, size_t);
static void *(*f_aligned_alloc)(size_t, size_t);
static void *(*f_memalign)(size_t, size_t);
static void *(*f_valloc)(size_t);
static void *(*f_pvalloc)(size_t);
static int (*f_posix_memalign)(void **, size_t, size_t);
static void (*f_free)(void *);
static void (*f_free_sized)(void *, size_t);
static void (*f_free_aligned_sized)(void *, size_t, size_t);
static size_t (*f_usable)(void *);

struct name {
    const char *name;
    void *function; /* address of the pointer above; NULL: only its owner matters */
    bool glibc;     /* 2.36 has it too */
};

static const struct name names[] = {
    {"malloc", &f_malloc, true},
    {"calloc", &f_calloc, true},
    {"realloc", &f_realloc, true},
    {"reallocarray", &f_reallocarray, true},
    {"aligned_alloc", &f_aligned_alloc, true},
    {"memalign", &f_memalign, true},
    {"valloc", &f_valloc, true},
    {"pvalloc", &f_pvalloc, true},
    {"posix_memalign", &f_posix_memalign, true},
    {"free", &f_free, true},
    {"malloc_usable_size", &f_usable, true},
    {"free_sized", &f_free_sized, false},
    {"free_aligned_sized", &f_free_aligned_sized, false},
    {"cfree", NULL, false},
    {"mallinfo", NULL, true},
    {"mallinfo2", NULL, true},
    {"mallopt", NULL, true},
    {"malloc_trim", NULL, true},
    {"malloc_stats", NULL, true},
    {"malloc_info", NULL, true},
    {"__libc_malloc", NULL, true},
    {"__libc_calloc", NULL, true},
    {"__libc_realloc", NULL, true},
    {"__libc_free", NULL, true},
    {"__libc_memalign", NULL, true},
    {"__libc_valloc", NULL, true},
    {"__libc_pvalloc", NULL, true},
    {"_Znwm", NULL, false},
    {"_Znam", NULL, false},
    {"_ZnwmRKSt9nothrow_t", NULL, false},
    {"_ZnamRKSt9nothrow_t", NULL, false},
    {"_ZnwmSt11align_val_t", NULL, false},
    {"_ZnamSt11align_val_t", NULL, false},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", NULL, false},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", NULL, false},
    {"_ZdlPv", NULL, false},
    {"_ZdaPv", NULL, false},
    {"_ZdlPvm", NULL, false},
    {"_ZdaPvm", NULL, false},
    {"_ZdlPvRKSt9nothrow_t", NULL, false},
    {"_ZdaPvRKSt9nothrow_t", NULL, false},
    {"_ZdlPvSt11align_val_t", NULL, false},
    {"_ZdaPvSt11align_val_t", NULL, false},
    {"_ZdlPvmSt11align_val_t", NULL, false},
    {"_ZdaPvmSt11align_val_t", NULL, false},
    {"_ZdlPvSt11align_val_tRKSt9nothrow_t", NULL, false},
    {"_ZdaPvSt11align_val_tRKSt9nothrow_t", NULL, false},
};

static bool is_freehold;
static int failures;

static void find_names(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct name *n = &names[i];
        if (!is_freehold && !n->glibc) continue;
        void *found = dlsym(RTLD_DEFAULT, n->name);
        Dl_info info = {0};
        bool known = found && dladdr(found, &info);
        const char *owner = known ? info.dli_fname : "nobody";
        if (!strstr(owner, is_freehold ? "libfreehold" : "libc.so")) {
            printf("%s belongs to %s\n", n->name, owner);
            failures++;
        }
        if (n->function) memcpy(n->function, &found, sizeof found);
    }
}

/* ---- answers ---------------------------------------------------------------------------------------- */

/* What a call gave: a block (judged and freed by the row's function), nothing, or a number. */
enum { NOTHING = -1, BLOCK = -2, BROKEN = -3 };
#define KEPT 7777   /* errno as it was before the call */
#define ANY_ERRNO 0 /* nobody says */

struct answer {
    long value;
    int error;
};

/* The block must be aligned, usable in full, and its own. */
static long judge(void *p, size_t alignment, size_t size)
{
    int error = errno;
    if (p == NULL) return NOTHING;
    bool good = (uintptr_t)p % alignment == 0 && f_usable(p) >= size;
    memset(p, 0x5a, size);
    void *other = f_malloc(size);
    good &= other != p;
    f_free(other);
    f_free(p);
    errno = error;
    return good ? BLOCK : BROKEN;
}

static long judge_zero(unsigned char *p, size_t size)
{
    for (size_t i = 0; p && i < size; i++)
        if (p[i]) return BROKEN;
    return judge(p, 16, size);
}

/* The block that realloc was given must still be there. */
static long judge_refused(void *result, unsigned char *old)
{
    int error = errno;
    if (result != NULL) return BROKEN;
    for (int i = 0; i < 100; i++)
        if (old[i] != 0x77) return BROKEN;
    f_free(old);
    errno = error;
    return NOTHING;
}

static void *old_block(size_t size)
{
    return memset(f_malloc(size), 0x77, size);
}

/* Memory that is not zero, for calloc to find. */
static void soil(size_t size)
{
    void *p[8];
    for (int i = 0; i < 8; i++) p[i] = old_block(size);
    for (int i = 0; i < 8; i++) f_free(p[i]);
}

static long posix(size_t alignment, size_t size)
{
    void *mark = &failures, *p = mark;
    int error = f_posix_memalign(&p, alignment, size);
    if (error != 0) return p == mark ? error : BROKEN; /* C: left alone on failure */
    return judge(p, alignment, size) == BLOCK ? 0 : BROKEN;
}

static long page(void)
{
    return sysconf(_SC_PAGESIZE);
}

/* realloc must carry over what fits. */
static long realloc_keeps(size_t from, size_t to)
{
    unsigned char *p = f_realloc(old_block(from), to);
    for (size_t i = 0; p && i < from && i < to; i++)
        if (p[i] != 0x77) return BROKEN;
    return judge(p, 16, to);
}

static long free_keeps_errno(size_t size)
{
    void *p = f_malloc(size);
    errno = KEPT;
    f_free(p);
    return errno == KEPT;
}

static long zero_blocks_differ(void)
{
    void *a = f_malloc(0), *b = f_malloc(0), *c = f_calloc(0, 8);
    bool differ = a && b && c && a != b && b != c && a != c;
    f_free(a);
    f_free(b);
    f_free(c);
    return differ;
}

static long usable_is_usable(size_t size)
{
    unsigned char *p = f_malloc(size);
    size_t usable = f_usable(p);
    memset(p, 0x33, usable);
    p = f_realloc(p, usable); /* what fits need not move */
    bool good = usable >= size && p[usable - 1] == 0x33;
    f_free(p);
    return good;
}

static long sized(size_t size)
{
    if (!f_free_sized) return 0;
    f_free_sized(f_malloc(size), size);
    f_free_aligned_sized(f_aligned_alloc(64, size), 64, size);
    f_free_sized(NULL, size);
    f_free_aligned_sized(NULL, 64, size);
    return 0;
}

/* ---- the table: abi.def ----------------------------------------------------------------------- */

#define HALF (SIZE_MAX / 2 + 1) /* 2^63: the first size above PTRDIFF_MAX, and a power of two */

struct row {
    const char *call;
    long (*run)(void);
    struct answer both;
    struct answer glibc; /* if `why` is given */
    const char *why;
};

#define REFUSED(name, size, call)                                                                  \
    static long run_##name(void)                                                                   \
    {                                                                                              \
        unsigned char *old = old_block(size);                                                      \
        return judge_refused(call, old);                                                           \
    }
#define ROW(name, call, value, error)                                                              \
    static long run_##name(void)                                                                   \
    {                                                                                              \
        return call;                                                                               \
    }
#define DIFFERS(name, call, value, error, glibc_value, glibc_error, why) ROW(name, call, 0, 0)
#include "abi.def"
#undef REFUSED
#undef ROW
#undef DIFFERS

#define REFUSED(name, size, call) {#name, run_##name, {NOTHING, ENOMEM}, {0, 0}, NULL},
#define ROW(name, call, value, error) {#name, run_##name, {value, error}, {0, 0}, NULL},
#define DIFFERS(name, call, value, error, glibc_value, glibc_error, why)                           \
    {#name, run_##name, {value, error}, {glibc_value, glibc_error}, why},
static const struct row table[] = {
#include "abi.def"
};

static void check_row(const struct row *row)
{
    struct answer expected = row->why && !is_freehold ? row->glibc : row->both;
    errno = KEPT;
    long value = row->run();
    int error = errno;
    if (value == expected.value && (expected.error == ANY_ERRNO || error == expected.error)) return;
    printf("%s: %ld with errno %d, expected %ld with %d\n", row->call, value, error, expected.value,
           expected.error);
    failures++;
}

int main(int argc, char **argv)
{
    is_freehold = argc > 1 && strcmp(argv[1], "freehold") == 0;
    if (!is_freehold && strcmp(gnu_get_libc_version(), "2.36") != 0) {
        printf("skipped: the table is glibc 2.36's, this is %s\n", gnu_get_libc_version());
        return 77;
    }
    find_names();
    if (failures) return 1;
    size_t rows = sizeof table / sizeof *table;
    for (size_t i = 0; i < rows; i++) check_row(&table[i]);
    printf("%zu rows, %d wrong\n", rows, failures);
    return failures != 0;
}
