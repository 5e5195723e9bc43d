/*
 * What the library takes from its mailbox. It breaks if a block goes that is not the one that was seen: another address,
 * size or content, free, not ours; or by a list that is torn, for another process, or older than what went since.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "face/plug.h"
#include "kit/unit.h"
#include "list.h"

static struct fh_plug_box *box;

static void *block(size_t size, int fill)
{
    void *p = fh_malloc(size);
    assert_non_null(p);
    memset(p, fill, fh_malloc_usable_size(p));
    return p;
}

static bool is_live(const void *p)
{
    struct fh_description d;
    enum fh_kind kind = fh_describe(p, &d);
    return (kind == FH_BLOCK || kind == FH_LARGE) && d.start == p;
}

static void put(const struct fh_plug_entry *entries, uint64_t count)
{
    plug_list_put(box, (struct fh_plug_head){0}, entries, count);
}

/* One entry that must not go: the block stays, and the list is done with. */
static void expect_kept(const struct fh_plug_entry *entry, const void *p)
{
    uint64_t blocks = box->blocks, refused = box->gone + box->changed;
    put(entry, 1);
    plug_list_work(box);
    assert_int_equal(box->taken, box->list.head.sequence);
    assert_int_equal(box->blocks, blocks);
    assert_int_equal(box->gone + box->changed, refused + 1);
    if (p) assert_true(is_live(p));
}

/* With the hash of what really is there: so it is not that which keeps the block. */
static void hash_again(struct fh_plug_entry *entry)
{
    struct fh_plug_hash hash = fh_plug_hash_begin();
    fh_plug_hash_add(&hash, (const void *)(fh_registry.base + entry->offset), entry->size);
    entry->hash = fh_plug_hash_end(&hash);
}

/* A list that must not be taken. */
static void expect_refused(struct fh_plug_head head)
{
    void *p = block(100, 5);
    struct fh_plug_entry entry = plug_entry_of(p);
    uint64_t refused = box->lists_refused;
    plug_list_put(box, head, &entry, 1);
    plug_list_work(box);
    assert_true(is_live(p));
    assert_int_equal(box->lists_refused, refused + 1);
    fh_free(p);
}

static void test_plug__gives_back_what_is_as_it_was_seen(void **state)
{
    static const size_t sizes[] = {1, 16, 100, 1000, 8192, 9000, 65000, 70000, 3 << 20};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void *p = block(sizes[i], 3);
        struct fh_plug_entry entry = plug_entry_of(p);
        uint64_t blocks = box->blocks, bytes = box->bytes;
        put(&entry, 1);
        errno = 77;
        plug_list_work(box);
        assert_false(is_live(p));
        assert_int_equal(box->blocks, blocks + 1);
        assert_int_equal(box->bytes, bytes + entry.size);
        assert_int_equal(errno, 77);
    }
    assert_int_equal(box->freed[FH_CLASSES], 2);
    assert_int_equal(box->freed[FH_CLASSES + 1], 2);
}

static void test_plug__takes_no_other_address_or_size(void **state)
{
    (void)state;
    static char foreign[64] __attribute__((aligned(16)));
    static const size_t sizes[] = {100, 20000, 1 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *p = block(sizes[i], 9);
        const struct fh_plug_entry entry = plug_entry_of(p);
        struct fh_plug_entry other = entry;
        other.offset += 16; /* its middle */
        hash_again(&other);
        expect_kept(&other, p);
        other.offset = entry.offset + 8;
        expect_kept(&other, p);
        other = entry;
        other.size -= 16;
        hash_again(&other);
        expect_kept(&other, p);
        other.size = entry.size + 16;
        hash_again(&other);
        expect_kept(&other, p);
        other.size = UINT64_MAX & ~15ull;
        expect_kept(&other, p);
        other.size = 0;
        expect_kept(&other, p);
        fh_free(p);
        other = entry; /* free by now */
        hash_again(&other);
        expect_kept(&other, NULL);
    }
    struct fh_plug_entry wild = plug_entry_of(block(48, 1));
    wild.offset = 0;
    expect_kept(&wild, NULL);
    wild.offset = 4096; /* descriptors */
    expect_kept(&wild, NULL);
    wild.offset = (uintptr_t)foreign - fh_registry.base;
    expect_kept(&wild, NULL);
    wild.offset = fh_registry.limit - fh_registry.base - 65536; /* reserved */
    expect_kept(&wild, NULL);
    wild.offset = UINT64_MAX - 15;
    expect_kept(&wild, NULL);
}

static void test_plug__takes_no_other_content(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 100, 20000, 1 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *p = block(sizes[i], 9);
        size_t last = fh_malloc_usable_size(p) - 1;
        struct fh_plug_entry entry = plug_entry_of(p);
        p[last] = 8;
        expect_kept(&entry, p);
        p[last] = 9;
        p[0] = 8;
        expect_kept(&entry, p);
        fh_free(p);
    }
}

/* The same address, size and bytes: but another block. */
static void test_plug__a_list_is_older_than_what_went_since(void **state)
{
    (void)state;
    void *p = block(100, 0), *q = block(100, 1);
    struct fh_plug_entry of_p = plug_entry_of(p), of_q = plug_entry_of(q);
    uint64_t seen = box->version, refused = box->lists_refused;
    put(&of_p, 1);
    plug_list_work(box);
    assert_false(is_live(p));
    plug_list_put(box, (struct fh_plug_head){.version = seen}, &of_q, 1);
    plug_list_work(box);
    assert_true(is_live(q));
    assert_int_equal(box->lists_refused, refused + 1);
    fh_free(q);
}

static int compare_addresses(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return (x > y) - (x < y);
}

static void test_plug__lists_of_one_look_follow_each_other(void **state)
{
    (void)state;
    void *p[3];
    struct fh_plug_entry entry[3];
    struct fh_plug_head head = {.look = 4711, .version = box->version};
    for (int i = 0; i < 3; i++) p[i] = block(100, i);
    qsort(p, 3, sizeof *p, compare_addresses);
    for (int i = 0; i < 3; i++) entry[i] = plug_entry_of(p[i]);
    plug_list_put(box, head, &entry[1], 1);
    plug_list_work(box);
    assert_false(is_live(p[1]));
    plug_list_put(box, head, &entry[2], 1); /* its version is older, and that is right */
    plug_list_work(box);
    assert_false(is_live(p[2]));
    /* What lies behind may have been named before. */
    uint64_t gone = box->gone;
    plug_list_put(box, head, &entry[0], 1);
    plug_list_work(box);
    assert_true(is_live(p[0]));
    assert_int_equal(box->gone, gone + 1);
    fh_free(p[0]);
}

static void test_plug__what_the_kernel_was_told_of_stays(void **state)
{
    (void)state;
    char *p = block(20000, 6);
    struct fh_plug_entry entry = plug_entry_of(p);
    plug_keep((uintptr_t)p + 100);
    expect_kept(&entry, p);
    fh_free(p);
}

static void test_plug__a_block_is_named_once(void **state)
{
    (void)state;
    void *p = block(100, 6);
    struct fh_plug_entry twice[2] = {plug_entry_of(p), plug_entry_of(p)};
    uint64_t blocks = box->blocks, gone = box->gone;
    put(twice, 2);
    plug_list_work(box);
    assert_int_equal(box->blocks, blocks + 1);
    assert_int_equal(box->gone, gone + 1);
}

static void test_plug__torn_and_foreign_lists_are_refused(void **state)
{
    (void)state;
    expect_refused((struct fh_plug_head){.checksum = 12345});
    expect_refused((struct fh_plug_head){.image = box->image + 2});
    expect_refused((struct fh_plug_head){.version = box->version + 1});
    expect_refused((struct fh_plug_head){.count = FH_PLUG_ENTRIES + 1, .checksum = 1});
    expect_refused((struct fh_plug_head){.count = UINT64_MAX, .checksum = 1});
}

static void test_plug__half_a_list_is_none(void **state)
{
    (void)state;
    void *p = block(100, 6);
    struct fh_plug_entry entry = plug_entry_of(p);
    uint64_t sequence = box->list.head.sequence, refused = box->lists_refused, taken = box->taken;
    plug_list_put(box, (struct fh_plug_head){.sequence = sequence | 1}, &entry, 1);
    for (int i = 0; i < 100; i++) plug_tick();
    assert_true(is_live(p));
    assert_int_equal(box->taken, taken);
    /* Whole, but for an entry. */
    plug_list_put(box, (struct fh_plug_head){0}, &entry, 1);
    box->list.entry[0].size += 16;
    plug_list_work(box);
    assert_true(is_live(p));
    assert_int_equal(box->lists_refused, refused + 1);
    fh_free(p);
}

static void test_plug__a_withdrawn_list_is_over(void **state)
{
    enum { BLOCKS = 300 };
    void *p[BLOCKS];
    struct fh_plug_entry entry[BLOCKS];
    (void)state;
    for (int i = 0; i < BLOCKS; i++) p[i] = block(64, i);
    for (int i = 0; i < BLOCKS; i++) /* ascending */
        for (int j = i + 1; j < BLOCKS; j++)
            if (p[j] < p[i]) {
                void *swap = p[i];
                p[i] = p[j], p[j] = swap;
            }
    for (int i = 0; i < BLOCKS; i++) entry[i] = plug_entry_of(p[i]);
    uint64_t blocks = box->blocks;
    usleep(5000);
    put(entry, BLOCKS);
    plug_tick(); /* some of them */
    uint64_t went = box->blocks - blocks;
    assert_in_range(went, 1, BLOCKS - 1);
    plug_list_put(box, (struct fh_plug_head){0}, NULL, 0);
    plug_list_work(box);
    assert_int_equal(box->blocks, blocks + went);
    for (int i = 0; i < BLOCKS; i++) assert_int_equal(is_live(p[i]), (uint64_t)i >= went);
}

static void test_plug__a_child_has_no_list(void **state)
{
    (void)state;
    void *p = block(100, 6);
    struct fh_plug_entry entry = plug_entry_of(p);
    put(&entry, 1);
    pid_t child = fork();
    if (child == 0) {
        /* pthread_atfork was registered by the library: what it does is done. */
        for (int i = 0; i < 100; i++) plug_tick();
        _exit(is_live(p) && box->blocks == 0 && box->pid == (uint32_t)getpid() ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    plug_list_work(box);
    assert_false(is_live(p));
}

static void test_plug__the_command_is_found_beside_the_library(void **state)
{
    char folder[] = "/tmp/plug_test_XXXXXX", path[512], name[600], found[600];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "mkdir -p %s/bin %s/lib/triple && cp /bin/true %s/bin/freehold",
             folder, folder, folder);
    assert_int_equal(system(path), 0);
    snprintf(name, sizeof name, "%s/lib/libfreehold.so.1", folder);
    assert_true(plug_find_command(name, found, sizeof found));
    snprintf(path, sizeof path, "%s/lib/../bin/freehold", folder);
    assert_string_equal(found, path);
    snprintf(name, sizeof name, "%s/lib/triple/libfreehold.so.1", folder);
    assert_true(plug_find_command(name, found, sizeof found));
    snprintf(path, sizeof path, "%s/lib/triple/../../bin/freehold", folder);
    assert_string_equal(found, path);
    assert_int_equal(setenv("PATH", folder, 1), 0);
    assert_false(plug_find_command("lib/libfreehold.so.1", found, sizeof found) &&
                 strncmp(found, folder, strlen(folder)) == 0);
    snprintf(path, sizeof path, "/bin/rm -r %s", folder);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    box = plug_test_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plug__gives_back_what_is_as_it_was_seen),
        cmocka_unit_test(test_plug__takes_no_other_address_or_size),
        cmocka_unit_test(test_plug__takes_no_other_content),
        cmocka_unit_test(test_plug__a_list_is_older_than_what_went_since),
        cmocka_unit_test(test_plug__lists_of_one_look_follow_each_other),
        cmocka_unit_test(test_plug__what_the_kernel_was_told_of_stays),
        cmocka_unit_test(test_plug__a_block_is_named_once),
        cmocka_unit_test(test_plug__torn_and_foreign_lists_are_refused),
        cmocka_unit_test(test_plug__half_a_list_is_none),
        cmocka_unit_test(test_plug__a_withdrawn_list_is_over),
        cmocka_unit_test(test_plug__a_child_has_no_list),
        cmocka_unit_test(test_plug__the_command_is_found_beside_the_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
