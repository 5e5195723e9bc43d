/*
 * The entry points that clang's -fsanitize=alloc-token calls (src/face/hardened/token.c), by their names, since no
 * compiler here makes such calls. What could break: a name is missing or takes its arguments otherwise; what holds
 * pointers gets among what holds none; a type wanders from bucket to bucket; a block is of another kind than its
 * namesake's, so that the right delete is told to be wrong.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/child.h"
#include "kit/unit.h"

#define TOKEN(name) __alloc_token_##name
void *TOKEN(malloc)(size_t, size_t);
void *TOKEN(calloc)(size_t, size_t, size_t);
void *TOKEN(realloc)(void *, size_t, size_t);
void *TOKEN(reallocarray)(void *, size_t, size_t, size_t);
void *TOKEN(aligned_alloc)(size_t, size_t, size_t);
void *TOKEN(memalign)(size_t, size_t, size_t);
void *TOKEN(valloc)(size_t, size_t);
void *TOKEN(pvalloc)(size_t, size_t);
int TOKEN(posix_memalign)(void **, size_t, size_t, size_t);

enum { BUCKET_DATA = 3 };
static const size_t data_token = (size_t)1 << 62, type_token = (size_t)3 << 62;

/* As a tool finds it. */
static unsigned bucket_of(const void *p)
{
    const struct fh_registry *registry = dlsym(RTLD_DEFAULT, "fh_registry");
    const struct fh_hard *hard = (const struct fh_hard *)registry->hard;
    const uint16_t *owner = (const uint16_t *)hard->owner;
    unsigned region = owner[((uintptr_t)p - hard->base) >> hard->chunk_shift] - 1u;
    return ((const struct fh_hard_region *)(hard->regions + region * hard->region_size))->bucket;
}

static void test_token__every_function(void **state)
{
    (void)state;
    static const size_t tokens[] = {data_token, type_token};
    for (size_t t = 0; t < 2; t++) {
        size_t token = tokens[t];
        char *p[10] = {TOKEN(malloc)(40, token),
                       TOKEN(calloc)(5, 8, token),
                       TOKEN(realloc)(NULL, 40, token),
                       TOKEN(reallocarray)(NULL, 5, 8, token),
                       TOKEN(aligned_alloc)(64, 40, token),
                       TOKEN(memalign)(100, 40, token),
                       TOKEN(valloc)(40, token),
                       TOKEN(pvalloc)(40, token)};
        assert_int_equal(TOKEN(posix_memalign)((void **)&p[8], 256, 40, token), 0);
        static const size_t alignment[] = {16, 16, 16, 16, 64, 128, 4096, 4096, 256};
        for (size_t i = 0; i < 9; i++) {
            assert_non_null(p[i]);
            assert_int_equal(fh_malloc_usable_size(p[i]), i == 7 ? 4096 : 40);
            assert_int_equal((uintptr_t)p[i] % alignment[i], 0);
            assert_true((bucket_of(p[i]) == BUCKET_DATA) == (t == 0));
            p[i] = TOKEN(realloc)(p[i], 1000, token);
            assert_true((bucket_of(p[i]) == BUCKET_DATA) == (t == 0));
            free(p[i]);
        }
    }
}

static void test_token__errors_are_those_of_the_namesakes(void **state)
{
    (void)state;
    volatile size_t most = SIZE_MAX;
    void *p = NULL;
    assert_int_equal(TOKEN(posix_memalign)(&p, 24, 8, type_token), EINVAL);
    errno = 7;
    assert_int_equal(TOKEN(posix_memalign)(&p, 64, most / 2, type_token), ENOMEM);
    assert_int_equal(errno, 7);
    assert_null(p);
    errno = 0;
    assert_null(TOKEN(calloc)(most / 2, 3, type_token));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(TOKEN(reallocarray)(NULL, most / 2, 3, type_token));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(TOKEN(pvalloc)(most - 30, type_token));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(TOKEN(aligned_alloc)(24, 8, type_token));
    assert_int_equal(errno, EINVAL);
    assert_null(TOKEN(realloc)(TOKEN(malloc)(8, type_token), 0, type_token));
}

/* A type's blocks lie in one bucket wherever it is called from, and types are divided. */
static void test_token__types_stay_together(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (size_t t = 1; t <= 64; t++) {
        size_t token = type_token + t * 0x123456789;
        void *a = TOKEN(malloc)(40, token), *b = TOKEN(malloc)(40, token),
             *c = TOKEN(calloc)(1, 40, token);
        assert_int_equal(bucket_of(a), bucket_of(b));
        assert_int_equal(bucket_of(a), bucket_of(c));
        seen |= 1u << bucket_of(a);
        free(a), free(b), free(c);
    }
    assert_int_equal(seen, 7);
}

/* Of few tokens, and without one, nothing is known to hold no pointers. */
static void test_token__small_and_no_tokens(void **state)
{
    (void)state;
    static const size_t tokens[] = {0, 1, 5, 1000, 0xffffffff};
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        void *p = TOKEN(malloc)(40, tokens[i]);
        assert_int_not_equal(bucket_of(p), BUCKET_DATA);
        free(p);
    }
}

/* ---- C++ --------------------------------------------------------------------------------------------------- */

typedef void *(*new_function)(size_t, size_t, size_t, size_t);
typedef void (*delete_function)(void *, size_t);

static const struct {
    const char *new, *delete, *wrong;
    int before; /* arguments in front of the token */
    bool aligned;
} operators[] = {
    {"Znwm", "_ZdlPv", "_ZdaPv", 1, false},
    {"ZnwmRKSt9nothrow_t", "_ZdlPv", "_ZdaPv", 2, false},
    {"ZnwmSt11align_val_t", "_ZdlPvSt11align_val_t", "_ZdlPv", 2, true},
    {"ZnwmSt11align_val_tRKSt9nothrow_t", "_ZdlPvSt11align_val_t", "_ZdlPv", 3, true},
    {"Znam", "_ZdaPv", "_ZdlPv", 1, false},
    {"ZnamRKSt9nothrow_t", "_ZdaPv", "_ZdlPv", 2, false},
    {"ZnamSt11align_val_t", "_ZdaPvSt11align_val_t", "_ZdaPv", 2, true},
    {"ZnamSt11align_val_tRKSt9nothrow_t", "_ZdaPvSt11align_val_t", "_ZdaPv", 3, true},
};
enum { ALIGNMENT = 64 };

static void *new_by(const char *prefix, size_t i, size_t token)
{
    char name[80] = "__alloc_token_";
    strcat(strcat(name, prefix), operators[i].new);
    new_function make = (new_function)dlsym(RTLD_DEFAULT, name);
    assert_non_null(make);
    size_t second = operators[i].aligned ? ALIGNMENT : 0;
    if (operators[i].before == 1) return make(40, token, 0, 0);
    return operators[i].before == 2 ? make(40, second, token, 0) : make(40, second, 0, token);
}

static void delete_by(const char *name, void *p)
{
    ((delete_function)dlsym(RTLD_DEFAULT, name))(p, ALIGNMENT);
}

static void delete_wrongly(void *which)
{
    size_t i = *(size_t *)which;
    delete_by(operators[i].wrong, new_by("_", i, type_token));
}

/* Under the names of clang 22, and of those before. */
static void test_token__operators(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(operators); i++) {
        size_t o = i / 2;
        void *data = new_by(i % 2 ? "_" : "", o, data_token),
             *typed = new_by(i % 2 ? "_" : "", o, type_token);
        assert_int_equal(bucket_of(data), BUCKET_DATA);
        assert_int_not_equal(bucket_of(typed), BUCKET_DATA);
        assert_int_equal((uintptr_t)data % (operators[o].aligned ? ALIGNMENT : 16), 0);
        delete_by(operators[o].delete, data);
        delete_by(operators[o].delete, typed);
    }
}

static void test_token__operators_have_their_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        struct child_end end = child_run(delete_wrongly, &i);
        if (end.signal != SIGABRT || !strstr(end.said, "that was made by"))
            fail_msg("%s: %d %s", operators[i].new, end.signal, end.said);
    }
}

/* With option token_max=1000. */
static void test_token__of_so_many(void **state)
{
    (void)state;
    static const size_t tokens[] = {1, 499, 500, 999};
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        void *p = TOKEN(malloc)(40, tokens[i]);
        assert_true((bucket_of(p) == BUCKET_DATA) == (i < 2));
        free(p);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest of_so_many[] = {cmocka_unit_test(test_token__of_so_many)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token__every_function),
        cmocka_unit_test(test_token__errors_are_those_of_the_namesakes),
        cmocka_unit_test(test_token__types_stay_together),
        cmocka_unit_test(test_token__small_and_no_tokens),
        cmocka_unit_test(test_token__operators),
        cmocka_unit_test(test_token__operators_have_their_kinds),
    };
    (void)argv;
    if (argc > 1) return cmocka_run_group_tests(of_so_many, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
