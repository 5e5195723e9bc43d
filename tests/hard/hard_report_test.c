/*
 * Reports. What could break: a sentence that is not what happened, an allocation or a read that faults on the way, JSON
 * that is none, a report in pieces among those of other threads, a process that should have ended and has not,
 * or the other way round, words in a file of the program's.
 */
#include "kit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <freehold/hardened.h>

#include "fake.h"
#include "hard/report.h"
#include "kit/child.h"
#include "kit/expect.h"

struct expected {
    enum hard_what what;
    const char *call;
    unsigned slot; /* its number, 0 none */
    long at;       /* address, from its start */
    size_t said, right;
    unsigned kind;
    enum os_access access;
    const char *sentence;
};

static char static_byte = 1, zero_byte[20000];

/* Slot 10: 48 bytes; 9: 64 - 8 bytes, 11: freed, 20 bytes. */
static const struct expected cases[] = {
    {HARD_DOUBLE_FREE, "free", 11, 0, 0, 0, 0, 0, "double free of a block of 20 bytes"},
    {HARD_NOT_A_BLOCK, "free", 10, 16, 0, 0, 0, 0,
     "16 bytes into a block of 48 bytes, not the start of a block"},
    {HARD_NOT_A_BLOCK, "free", 10, 1, 0, 0, 0, 0,
     "1 byte into a block of 48 bytes, not the start of a block"},
    {HARD_NOT_A_BLOCK, "free", 11, 4, 0, 0, 0, 0,
     "4 bytes into a freed block of 20 bytes, not the start of a block"},
    {HARD_NOT_A_BLOCK, "free", 40, 0, 0, 0, 0, 0,
     "memory of freehold's in which no block was ever handed out"},
    {HARD_USE_FREED, "realloc", 11, 0, 0, 0, 0, 0, "a freed block of 20 bytes"},
    {HARD_KIND, "free", 10, 0, 0, 0, KIND_MALLOC, 0,
     "free of a block of 48 bytes that was made by new[], which wants delete[]"},
    {HARD_KIND, "realloc", 10, 0, 0, 0, KIND_MALLOC, 0,
     "realloc of a block of 48 bytes that was made by new[], which wants delete[]"},
    {HARD_KIND, "free_sized", 10, 0, 0, 0, KIND_MALLOC, 0,
     "free of a block of 48 bytes that was made by new[], which wants delete[]"},
    {HARD_SIZE, "free_sized", 10, 0, 47, 48, 0, 0, "size 47 said for a block of 48 bytes"},
    {HARD_ALIGNMENT, "aligned operator delete", 10, 0, 64, 32, 0, 0,
     "alignment 64 said for a block of 48 bytes made with 32"},
    {HARD_ALIGNMENT, "free_aligned_sized", 9, 0, 4096, 0, 0, 0,
     "alignment 4096 said for a block of 56 bytes at an address that is a multiple of 64 only"},
    {HARD_OVERFLOWED, "free", 10, 0, 0, 0, 0, 0,
     "write of at least 3 bytes past the end of a block of 48 bytes"},
    {HARD_NEIGHBOUR_OVERFLOWED, "free", 10, 64, 0, 0, 0, 0,
     "write of at least 3 bytes past the end of the left neighbour, a block of 48 bytes"},
    {HARD_UNDERFLOWED, "free", 9, 0, 0, 0, 0, 0,
     "write of at least 1 byte in front of a block of 56 bytes, or past the end of the one before "
     "it, of 64 bytes"},
    {HARD_WRITTEN_FREED, "malloc", 11, 0, 0, 0, 0, 0,
     "write of at least 2 bytes after free, into a freed block of 20 bytes"},
    {HARD_CHECKED, "memcpy", 10, 40, 9, 8, 0, OS_WRITE,
     "would write 1 byte past the end of a block of 48 bytes (9 bytes, from byte 40 on)"},
    {HARD_CHECKED, "memcpy", 10, 0, 64, 48, 0, OS_READ,
     "would read 16 bytes past the end of a block of 48 bytes (64 bytes, from its start on)"},
    {HARD_CHECKED, "fh_check_range", 10, 0, 49, 48, 0, 0,
     "would reach 1 byte past the end of a block of 48 bytes (49 bytes, from its start on)"},
    {HARD_CHECKED, "strlen", 10, 1, SIZE_MAX, 47, 0, OS_READ,
     "would read on past the end of a block of 48 bytes (from byte 1 on)"},
    {HARD_CHECKED, "memset", 10, 48, 3, 0, 0, OS_WRITE,
     "would write 3 bytes, right behind a block of 48 bytes"},
    {HARD_CHECKED, "memset", 40, 0, 3, 0, 0, OS_WRITE,
     "would write 3 bytes in memory of freehold's in which no block was ever handed out"},
    {HARD_USE_FREED, "memcpy", 11, 4, 8, 0, 0, OS_READ,
     "would read 8 bytes, 4 bytes into a freed block of 20 bytes"},
    {HARD_USE_FREED, "strlen", 11, 0, SIZE_MAX, 0, 0, OS_READ,
     "would read on, at the start of a freed block of 20 bytes"},
    {HARD_TOUCHED_FREED, NULL, 11, 0, 0, 0, 0, OS_READ,
     "read at the start of a freed block of 20 bytes"},
    {HARD_TOUCHED_BEHIND, NULL, 10, 48, 0, 0, 0, OS_WRITE,
     "write right behind a block of 48 bytes"},
    {HARD_TOUCHED_BEHIND, NULL, 10, 49, 0, 0, 0, 0,
     "access 1 byte past the end of a block of 48 bytes"},
    {HARD_TOUCHED_FRONT, NULL, 10, -7, 0, 0, 0, OS_READ,
     "read 7 bytes in front of a block of 48 bytes"},
    {HARD_TOUCHED_NONE, NULL, 40, 3, 0, 0, 0, OS_READ,
     "access to memory of freehold's that is no block"},
    {HARD_NO_ENTROPY, NULL, 0, 0, 0, 0, 0, 0,
     "the kernel has no random numbers, without which nothing is safe"},
    {HARD_METADATA, NULL, 0, 0, 0, 0, 0, 0, "freehold's own records are damaged, or were touched"},
    {HARD_NO_MEMORY, "malloc", 0, 0, 77, 0, 0, 0, "no memory for 77 bytes"},
};

static void arrange(void)
{
    static bool arranged;
    if (arranged) return;
    arranged = true;
    fake_live(8, 64, KIND_MALLOC);
    char *front = fake_live(9, 56, KIND_MALLOC), *block = fake_live(10, 48, KIND_NEW_ARRAY);
    char *freed = fake_live(11, 20, KIND_MALLOC);
    front[-1] ^= 1;
    memcpy(block + 48, "ABC", 3);
    freed[0] = freed[5] = 1;
    fake_state(11, SLOT_QUARANTINED);
}

static void report_case(void *argument)
{
    const struct expected *e = argument;
    struct slot slot;
    arrange();
    struct hard_fault fault = {.what = e->what,
                               .call = e->call,
                               .size = e->said,
                               .right = e->right,
                               .kind = e->kind,
                               .access = e->access};
    if (e->slot) {
        fault.address = (void *)(hard.base + e->slot * FAKE_SLOT + (size_t)e->at);
        EXPECT(hard_slot_find((void *)(hard.base + e->slot * FAKE_SLOT), &slot), "no slot");
        if (e->slot != 40) fault.slot = &slot;
    }
    hard_report(&fault);
}

static void test_hard_report__says_what_was_done(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char line[300];
        struct child_end end = child_run(report_case, (void *)&cases[i]);
        snprintf(line, sizeof line, "): %s; stopping%s\n  process  ", cases[i].sentence,
                 cases[i].call ? " (option bad_free=ignore goes on)" : "");
        if (end.signal != SIGABRT || !strstr(end.said, line))
            fail_msg("case %zu: %s\nsaid: %s", i, line, end.said);
        assert_memory_equal(end.said, "freehold: ", 10);
        assert_ptr_equal(strstr(end.said + 1, "\nfreehold: "),
                         NULL); /* one report, one such line */
    }
}

static void test_hard_report__tells_what_was_changed_and_what_lies_around(void **state)
{
    (void)state;
    struct child_end end = child_run(report_case, (void *)&cases[12]);
    assert_non_null(strstr(
        end.said, "  changed  3 bytes, the first of them 0 behind the block: 41 42 43  |ABC|\n"));
    assert_non_null(strstr(end.said, ", live, of new[], made by thread number 7\n"));
    assert_non_null(strstr(end.said, "\n  before   56 bytes at 0x"));
    assert_non_null(strstr(end.said, "\n  behind   20 bytes at 0x"));
    assert_non_null(
        strstr(end.said, ", freed, in quarantine, of malloc, freed by thread number 7\n"));
    assert_non_null(strstr(end.said, " 41 42 43 00 00"));
    assert_non_null(strstr(end.said, "\n  try      "));
    assert_non_null(strstr(end.said, "report_test+0x")); /* stacks name their module */
    assert_non_null(strstr(end.said, " main+0x"));       /* and functions, static ones too */
    assert_true(strlen(end.said) < 3500);
}

static void report_neighbourhood(void *unused)
{
    struct slot slot;
    (void)unused;
    fake_live(9, 40, KIND_MALLOC);
    char *block = fake_live(10, 48, KIND_MALLOC);
    block[55] = 1; /* in front of the canary */
    hard_slot_find(block, &slot);
    hard_report(&(struct hard_fault){
        .what = HARD_OVERFLOWED, .call = "free", .address = block, .slot = &slot});
}

static void test_hard_report__keeps_whole_canaries_to_itself(void **state)
{
    (void)state;
    struct child_end end = child_run(report_neighbourhood, NULL);
    assert_non_null(strstr(end.said, "1 byte, 7 behind the block: 01"));
    assert_non_null(strstr(end.said, "00 00 00 00 00 00 00 01 cc cc cc cc cc cc cc cc"));
}

static void test_hard_report__names_memory_that_is_not_ours(void **state)
{
    (void)state;
    struct {
        const void *p;
        const char *says;
    } places[] = {
        {&state, "memory of [stack], not a block of freehold"},
        {&static_byte, "report_test, not a block of freehold"},
        {&zero_byte[19000], "static data of the program, not a block of freehold"},
        {(void *)0x10, "not mapped: no memory is there"},
        {(void *)0xffffffffffffff00, "no"}, /* [vsyscall] or nothing */
        {mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "memory"},
    };
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        char line[300];
        struct text t = TEXT(line);
        report_place((uintptr_t)places[i].p, &t);
        text_end(&t);
        if (!strstr(line, places[i].says)) fail_msg("%p is: %s", places[i].p, line);
    }
}

/* ---- blocks that are told an alignment ------------------------------------------------------------------------------ */

static void report_aligned(void *unused)
{
    char *p = fake_live(20, 48, KIND_NEW_ALIGNED);
    (void)unused;
    hard_report(&(struct hard_fault){.what = HARD_KIND, .call = "free", .address = p});
}

/* Its word has no room for who made it. */
static void test_hard_report__names_no_maker_of_aligned_blocks(void **state)
{
    (void)state;
    struct child_end end = child_run(report_aligned, NULL);
    assert_non_null(strstr(end.said, ", live, of aligned new\n"));
}

/* ---- large blocks ------------------------------------------------------------------------------------------------ */

static void report_large(void *unused)
{
    struct slot slot;
    char *p = fake_large(10001);
    (void)unused;
    p[10005] = 9;
    hard_slot_find(p, &slot);
    hard_report(
        &(struct hard_fault){.what = HARD_OVERFLOWED, .call = "free", .address = p, .slot = &slot});
}

static void test_hard_report__knows_large_blocks(void **state)
{
    (void)state;
    struct child_end end = child_run(report_large, NULL);
    assert_non_null(
        strstr(end.said, "write of at least 5 bytes past the end of a block of 10001 bytes"));
    assert_non_null(strstr(end.said, "1 byte, 4 behind the block: 09"));
}

/* ---- how it ends, and where it goes -------------------------------------------------------------------------------- */

static char path[64];

static int count_lines(const char *file, size_t *bytes)
{
    char text[65536];
    int fd = open(file, O_RDONLY), lines = 0;
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0) close(fd);
    for (ssize_t i = 0; i < n; i++) lines += text[i] == '\n';
    *bytes = n > 0 ? (size_t)n : 0;
    return lines;
}

static unsigned hooked;

static void hook(const struct fh_hardened_report *r)
{
    if (r->size != sizeof *r || strcmp(r->what, "double-free") != 0 || strcmp(r->call, "free") != 0)
        _exit(3);
    if (r->block_size != 20 || r->block != r->address || r->thread != (uint32_t)gettid()) _exit(4);
    if (r->stack_count < 2 || strlen(r->text) != r->text_length ||
        strlen(r->json) != r->json_length)
        _exit(5);
    if (!strstr(r->text, r->sentence) || !strstr(r->json, r->sentence)) _exit(6);
    hooked++;
}

static void twice_to_file(void *unused)
{
    (void)unused;
    if (!report_start(path)) _exit(1);
    report_config.go_on = true;
    fh_hardened_set_hook(hook);
    report_case((void *)&cases[0]);
    close_range(3, ~0u, 0); /* as daemons do; and something else gets the number */
    int other = open("/dev/null", O_WRONLY);
    dup2(other, 100);
    report_case((void *)&cases[0]);
    if (hooked != 2) _exit(2);
}

static void test_hard_report__goes_to_its_file_and_hook(void **state)
{
    (void)state;
    size_t bytes;
    snprintf(path, sizeof path, "/tmp/report_test.%d", (int)getpid());
    unlink(path);
    struct child_end end = child_run(twice_to_file, NULL);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.status, 0);
    assert_int_equal(count_lines(path, &bytes), 2);
    assert_true(bytes > 500);
    unlink(path);
    assert_non_null(strstr(end.said, "; ignored\n"));
}

static void to_closed_number(void *argument)
{
    int *fd = argument;
    if (!report_start(path)) _exit(1);
    unlink(path);
    close(100);
    *fd = open(path, O_RDWR | O_CREAT, 0600); /* a file of the program's */
    dup2(*fd, 100);
    rename(path, "/tmp/report_test.victim");
    report_config.go_on = true;
    report_case((void *)&cases[0]);
    struct stat status;
    fstat(*fd, &status);
    _exit(status.st_size == 0 ? 0 : 7);
}

static void test_hard_report__writes_into_no_file_of_the_programs(void **state)
{
    (void)state;
    int fd;
    struct child_end end = child_run(to_closed_number, &fd);
    assert_int_equal(end.status, 0);
    unlink(path);
    unlink("/tmp/report_test.victim");
}

static void bad_hook(const struct fh_hardened_report *r)
{
    (void)r;
    report_case((void *)&cases[0]);
}

static void report_with_bad_hook(void *unused)
{
    (void)unused;
    report_config.go_on = true;
    fh_hardened_set_hook(bad_hook);
    report_case((void *)&cases[0]);
}

static void test_hard_report__a_misuse_meanwhile_ends_the_process(void **state)
{
    (void)state;
    struct child_end end = child_run(report_with_bad_hook, NULL);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(strstr(end.said, "while a misuse of memory was being reported; stopping\n"));
}

static void *report_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++) report_case((void *)&cases[0]);
    return NULL;
}

static void many_at_once(void *unused)
{
    pthread_t thread[4];
    (void)unused;
    if (!report_start(path)) _exit(1);
    report_config.go_on = true;
    arrange();
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 2);
    for (int i = 0; i < 4; i++) pthread_create(&thread[i], NULL, report_often, NULL);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
}

static void test_hard_report__one_at_a_time(void **state)
{
    (void)state;
    struct child_end end = child_run(many_at_once, NULL);
    assert_int_equal(end.status, 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[8192];
    int lines = 0, of_first = 0;
    unsigned long first = 0;
    for (; fgets(line, sizeof line, file); lines++) {
        assert_memory_equal(line, "{\"report\":1,\"what\":\"double-free\"", 30);
        assert_memory_equal(line + strlen(line) - 2, "}\n", 2);
        const char *thread = strstr(line, "\"thread\":");
        assert_non_null(thread);
        unsigned long id = strtoul(thread + 9, NULL, 10);
        if (first == 0) first = id;
        of_first += id == first;
    }
    fclose(file);
    unlink(path);
    assert_int_equal(lines, 200);
    assert_int_equal(of_first, 50);
}

static void handler(int signal)
{
    (void)signal;
    report_case((void *)&cases[0]);
}

static void in_handler(void *unused)
{
    (void)unused;
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
}

static void test_hard_report__from_a_signal_handler(void **state)
{
    (void)state;
    struct child_end end = child_run(in_handler, NULL);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(strstr(end.said, "double free of a block of 20 bytes"));
}

int main(void)
{
    fake_start(0, 0);
    report_start(NULL);
    stack_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hard_report__says_what_was_done),
        cmocka_unit_test(test_hard_report__tells_what_was_changed_and_what_lies_around),
        cmocka_unit_test(test_hard_report__keeps_whole_canaries_to_itself),
        cmocka_unit_test(test_hard_report__names_memory_that_is_not_ours),
        cmocka_unit_test(test_hard_report__knows_large_blocks),
        cmocka_unit_test(test_hard_report__names_no_maker_of_aligned_blocks),
        cmocka_unit_test(test_hard_report__goes_to_its_file_and_hook),
        cmocka_unit_test(test_hard_report__writes_into_no_file_of_the_programs),
        cmocka_unit_test(test_hard_report__a_misuse_meanwhile_ends_the_process),
        cmocka_unit_test(test_hard_report__one_at_a_time),
        cmocka_unit_test(test_hard_report__from_a_signal_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
