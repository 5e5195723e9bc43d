/*
 * "What holds this address?" for any word at all: live blocks of all kinds, free ones, slack, records,
 * what is reserved, the stack, code, nothing; also from a signal handler in the middle of malloc.
 *
 * What could break: a fault on an address that nobody owns, and an answer that names a neighbour.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "heap/heap.h"
#include "kit/options.h"
#include "kit/random.h"
#include "kit/unit.h"

static int set_up(void **state)
{
    (void)state;
    fh_free(fh_malloc(1));
    return 0;
}

static void expect(const void *p, enum fh_kind kind, const void *start, size_t size)
{
    struct fh_description d;
    memset(&d, 0xff, sizeof d);
    assert_int_equal(fh_describe(p, &d), kind);
    assert_int_equal(d.kind, kind);
    assert_ptr_equal(d.start, start);
    assert_int_equal(d.size, size);
    if (start) assert_int_equal(d.offset, (const char *)p - (const char *)start);
}

static void expect_kind(const void *p, enum fh_kind kind)
{
    struct fh_description d;
    assert_int_equal(fh_describe(p, &d), kind);
}

/* ---- blocks ---------------------------------------------------------------------------------------------- */

static void test_describe__blocks_of_all_sizes_from_every_inside(void **state)
{
    (void)state;
    for (size_t size = 1; size < 3 << 20; size = size * 5 / 4 + 1) {
        char *p = fh_malloc(size);
        memset(p, 0xff, size);
        size_t usable = fh_malloc_usable_size(p);
        enum fh_kind kind = size <= RUN_MAX ? FH_BLOCK : FH_LARGE;
        for (size_t at = 0; at < usable; at += usable / 60 + 1) expect(p + at, kind, p, usable);
        expect(p + usable - 1, kind, p, usable);
        fh_free(p);
        expect_kind(p, size <= RUN_MAX ? FH_BLOCK_FREE : FH_SPAN);
    }
}

static void test_describe__small_blocks_name_their_thread(void **state)
{
    (void)state;
    struct fh_description d;
    void *p = fh_malloc(50);
    fh_describe(p, &d);
    assert_int_equal(d.heap, heap_self->id);
    assert_int_equal(d.thread, heap_self->thread);
    fh_free(p);
}

static void test_describe__free_blocks_among_live_ones(void **state)
{
    (void)state;
    char *p[200];
    for (size_t i = 0; i < COUNT_OF(p); i++) p[i] = memset(fh_malloc(250), 0xff, 250);
    for (size_t i = 0; i < COUNT_OF(p); i += 2) fh_free(p[i]);
    for (size_t i = 0; i < COUNT_OF(p); i++) {
        expect(p[i], i % 2 ? FH_BLOCK : FH_BLOCK_FREE, p[i], 256);
        expect(p[i] + 255, i % 2 ? FH_BLOCK : FH_BLOCK_FREE, p[i], 256);
    }
    for (size_t i = 1; i < COUNT_OF(p); i += 2) fh_free(p[i]);
}

static void test_describe__slack_behind_the_last_block_of_a_slab(void **state)
{
    (void)state;
    char *p = fh_malloc(3000); /* blocks of 3072: 21 fit, 1024 bytes are left */
    char *slab = (char *)((uintptr_t)p & ~(uintptr_t)(SLICE_SIZE - 1));
    expect(slab + 21 * 3072, FH_SLACK, slab + 21 * 3072, 1024);
    expect(slab + SLICE_SIZE - 1, FH_SLACK, slab + 21 * 3072, 1024);
    fh_free(p);
}

static void test_describe__slack_behind_a_large_block(void **state)
{
    (void)state;
    char *p = fh_malloc(SLICE_SIZE + 1);
    size_t usable = fh_malloc_usable_size(p);
    expect_kind(p + usable - 1, FH_LARGE);
    if (usable < 2 * SLICE_SIZE) {
        expect_kind(p + usable, FH_SLACK);
        expect_kind(p + 2 * SLICE_SIZE - 1, FH_SLACK);
    }
    fh_free(p);
}

/* ---- what is no block --------------------------------------------------------------------------------------- */

static void test_describe__what_is_not_ours(void **state)
{
    (void)state;
    int local;
    void *mapped = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *word[] = {NULL,
                    (void *)1,
                    (void *)UINTPTR_MAX,
                    (void *)(UINTPTR_MAX / 2),
                    &local,
                    mapped,
                    &fh_registry,
                    malloc(10),
                    (void *)(uintptr_t)set_up,
                    (void *)((uintptr_t)fh_registry.base - 1),
                    (void *)(uintptr_t)fh_registry.limit};
    for (size_t i = 0; i < COUNT_OF(word); i++) expect(word[i], FH_FOREIGN, NULL, 0);
    free(word[7]);
    munmap(mapped, 4096);
}

static void test_describe__records_and_reserved_addresses(void **state)
{
    (void)state;
    char *base = (char *)(uintptr_t)fh_registry.base;
    size_t records = (size_t)fh_registry.first_slice << FH_SLICE_SHIFT;
    expect(base, FH_METADATA, base, records);
    expect(base + records - 1, FH_METADATA, base, records);
    expect(heap_self, FH_METADATA, base, records);
    expect_kind((char *)(uintptr_t)fh_registry.limit - 1, FH_RESERVED);
    expect_kind(base + ((size_t)fh_registry.high << FH_SLICE_SHIFT), FH_RESERVED);
}

static void test_describe__any_word_has_an_answer(void **state)
{
    (void)state;
    struct random random = {11};
    uint64_t length = fh_registry.limit - fh_registry.base;
    void *p[300];
    for (size_t i = 0; i < COUNT_OF(p); i++) p[i] = fh_malloc(random_size(&random, 300000));
    for (int i = 0; i < 1000000; i++) {
        uint64_t used = (uint64_t)fh_registry.high << FH_SLICE_SHIFT, n = random_next(&random);
        uint64_t word = i % 3 == 0 ? n : fh_registry.base + n % (i % 3 == 1 ? length : used);
        struct fh_description d;
        enum fh_kind kind = fh_describe((void *)(uintptr_t)word, &d);
        assert_in_range(kind, FH_FOREIGN, FH_SPAN);
        if (kind == FH_FOREIGN) continue;
        assert_true((uintptr_t)d.start <= word && word - (uintptr_t)d.start < d.size);
        assert_int_equal(d.offset, word - (uintptr_t)d.start);
    }
    for (size_t i = 0; i < COUNT_OF(p); i++) fh_free(p[i]);
}

/* ---- as a sentence -------------------------------------------------------------------------------------------- */

static void expect_text(const void *p, const char *words)
{
    char text[300];
    size_t length = fh_describe_text(p, text, sizeof text);
    assert_int_equal(length, strlen(text));
    if (!strstr(text, words)) fail_msg("'%s' does not say '%s'", text, words);
}

static void test_describe__says_it_in_words(void **state)
{
    (void)state;
    char local, *p = fh_malloc(250), *large = fh_malloc(200000);
    memset(p, 0xff, 100);
    expect_text(p, "a live block of 256 bytes at 0x");
    expect_text(p + 1, "1 byte into a live block of 256 bytes at 0x");
    expect_text(p + 7, "7 bytes into a live block of 256 bytes at 0x");
    expect_text(large + 5000, "5000 bytes into a live large block of ");
    expect_text(&local, "memory of [stack], not a block of freehold");
    expect_text((void *)16, "not mapped");
    expect_text((void *)(uintptr_t)fh_registry.base, "freehold's own records");
    expect_text((void *)(uintptr_t)(fh_registry.limit - 1), "reserved by freehold and not in use");
    fh_free(p);
    expect_text(p, "a free block of 256 bytes at 0x");
    fh_free(large);
    expect_text(large, "free memory of ");
}

/* No descriptor is left, so /proc/self/maps cannot be asked: then nothing is said of what is there. */
static void test_describe__what_cannot_be_looked_up_is_not_claimed(void **state)
{
    (void)state;
    struct rlimit before, none;
    int local;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    expect_text(&local, "not a block of freehold; /proc/self/maps, which could say more");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_describe__a_mapping_ends_before_its_end(void **state)
{
    (void)state;
    char *mapped = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(mapped != MAP_FAILED);
    munmap(mapped + 4096, 4096);
    expect_text(mapped + 4095, "anonymous memory");
    expect_text(mapped + 4096, "not mapped");
    munmap(mapped, 4096);
}

/* A line of /proc/self/maps that is longer than any buffer here hides none of those behind it. */
static void test_describe__names_of_any_length_are_passed_over(void **state)
{
    (void)state;
    enum { FOLDERS = 4 };
    char path[1000] = "/tmp/describe_test.XXXXXX";
    size_t length[FOLDERS + 1] = {strlen(path)};
    assert_non_null(mkdtemp(path));
    for (int i = 0; i < FOLDERS; i++) {
        length[i + 1] =
            length[i] + (size_t)snprintf(path + length[i], sizeof path - length[i], "/%0200d", i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    strcat(path, "/file");
    int local, fd = open(path, O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
    void *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0); /* below the stack */
    assert_true(mapped != MAP_FAILED);
    unlink(path);
    for (int i = FOLDERS; i >= 0; i--) {
        path[length[i]] = 0;
        rmdir(path);
    }
    expect_text(&local, "memory of [stack]");
    munmap(mapped, 4096);
    close(fd);
}

static void test_describe__text_fits_any_buffer(void **state)
{
    (void)state;
    char whole[300], text[300], *p = fh_malloc(100);
    size_t length = fh_describe_text(p + 3, whole, sizeof whole);
    for (size_t capacity = 1; capacity < length + 5; capacity++) {
        memset(text, '#', sizeof text);
        size_t n = fh_describe_text(p + 3, text, capacity);
        assert_int_equal(n, capacity - 1 < length ? capacity - 1 : length);
        assert_memory_equal(text, whole, n);
        assert_int_equal(text[n], 0);
        assert_int_equal(text[n + 1], '#');
    }
    assert_int_equal(fh_describe_text(p, text, 0), 0);
    fh_free(p);
}

/* ---- from a signal handler ---------------------------------------------------------------------------------- */

static _Atomic unsigned long described;
static void *_Atomic in_hand[64];

static void describe_all(int signal)
{
    (void)signal;
    struct fh_description d;
    for (size_t i = 0; i < COUNT_OF(in_hand); i++) {
        uintptr_t word = (uintptr_t)in_hand[i];
        fh_describe((void *)word, &d);
        fh_describe((void *)(word + 12345), &d);
        fh_describe(__builtin_frame_address(0), &d);
        described++;
    }
}

static void *allocate_busily(void *unused)
{
    (void)unused;
    struct random random = {13};
    for (int i = 0; i < 200000 || described < 1000; i++) {
        size_t slot = random_below(&random, COUNT_OF(in_hand));
        fh_free(in_hand[slot]);
        in_hand[slot] = fh_malloc(random_size(&random, 100000));
    }
    for (size_t i = 0; i < COUNT_OF(in_hand); i++) fh_free(in_hand[i]);
    return NULL;
}

static void test_describe__answers_from_a_signal_handler(void **state)
{
    (void)state;
    if (KIT_THREAD_SANITIZER) skip(); /* it defers signals, and sees races where hints are read */
    pthread_t thread;
    struct sigaction action = {.sa_handler = describe_all, .sa_flags = SA_RESTART}, before;
    sigaction(SIGUSR1, &action, &before);
    pthread_create(&thread, NULL, allocate_busily, NULL);
    while (described < 1000) {
        pthread_kill(thread, SIGUSR1);
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &before, NULL);
    assert_true(described >= 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe__blocks_of_all_sizes_from_every_inside),
        cmocka_unit_test(test_describe__small_blocks_name_their_thread),
        cmocka_unit_test(test_describe__free_blocks_among_live_ones),
        cmocka_unit_test(test_describe__slack_behind_the_last_block_of_a_slab),
        cmocka_unit_test(test_describe__slack_behind_a_large_block),
        cmocka_unit_test(test_describe__what_is_not_ours),
        cmocka_unit_test(test_describe__records_and_reserved_addresses),
        cmocka_unit_test(test_describe__any_word_has_an_answer),
        cmocka_unit_test(test_describe__says_it_in_words),
        cmocka_unit_test(test_describe__what_cannot_be_looked_up_is_not_claimed),
        cmocka_unit_test(test_describe__a_mapping_ends_before_its_end),
        cmocka_unit_test(test_describe__names_of_any_length_are_passed_over),
        cmocka_unit_test(test_describe__text_fits_any_buffer),
        cmocka_unit_test(test_describe__answers_from_a_signal_handler),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
