/*
 * A large core in bounded memory: what is mapped of a file goes when it is more than a limit, and no sooner.
 *
 * What could break: pages that stay, pages of which the content changes, a core that is opened without.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cli/core_file.h"
#include "kit/unit.h"
#include "../../cli/trim.h"

enum { BYTES = 64 << 20, PAGE = 4096 };

static char path[] = "/tmp/freehold-trim-XXXXXX";
static int fd;
static unsigned char *bytes;

static int set_up(void **state)
{
    (void)state;
    fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, BYTES) != 0 || pwrite(fd, "end", 3, BYTES - 3) != 3) return 1;
    bytes = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
    return bytes == MAP_FAILED;
}

static int tear_down(void **state)
{
    (void)state;
    munmap(bytes, BYTES);
    close(fd);
    return unlink(path);
}

static uint64_t read_all(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < BYTES; i += PAGE) sum += bytes[i];
    return sum;
}

static void test_trim__goes_above_the_limit_and_stays_below(void **state)
{
    struct trim t = {.bytes = bytes, .size = BYTES, .limit = 1 << 30};
    assert_int_equal(read_all(), 0);
    trim_look(&t);
    assert_true(trim_resident() >= BYTES);
    t.limit = BYTES / 2;
    trim_look(&t);
    assert_true(trim_resident() < BYTES / 2);
    assert_memory_equal(bytes + BYTES - 3, "end", 3);
    (void)state;
}

/* Reading goes on until the thread has been there: however slow it is, it comes. */
static void test_trim__a_thread_looks_meanwhile(void **state)
{
    struct trim t;
    trim_start(&t, bytes, BYTES, BYTES / 2);
    assert_true(t.started);
    for (read_all(); trim_resident() > BYTES / 2;) usleep(1000);
    trim_stop(&t);
    assert_false(t.started);
    trim_start(&t, bytes, BYTES, BYTES);
    assert_false(t.started); /* it cannot become more than that */
    trim_stop(&t);
    (void)state;
}

static void test_trim__a_large_core_is_kept_small(void **state)
{
    char large[] = "/tmp/freehold-trim-XXXXXX", why[IMAGE_WHY];
    int core_fd = mkstemp(large);
    struct core core;
    struct image image;
    assert_true(core_fd >= 0 && ftruncate(core_fd, 3ll << 30) == 0);
    core_open(&core, &image, large, why); /* no ELF file; but mapped */
    assert_true(core.trim.started);
    assert_true(core.trim.limit <= 2ull << 30);
    core_finish(&core);
    assert_false(core.trim.started);
    image_finish(&image);
    close(core_fd);
    unlink(large);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim__goes_above_the_limit_and_stays_below),
        cmocka_unit_test(test_trim__a_thread_looks_meanwhile),
        cmocka_unit_test(test_trim__a_large_core_is_kept_small),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
