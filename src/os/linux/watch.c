/* os/watch.h on Linux. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/syscall.h"
#include "os/linux/pagemap.h"
#include "os/os.h"
#include "os/watch.h"

/* Younger than Debian 12's headers; the numbers are the kernel's ABI. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define WP_ASYNC (1 << 15) /* UFFD_FEATURE_WP_ASYNC */
#define SOFT_DIRTY (1ull << 55)

static int file_open(const char *path, int flags)
{
    return (int)SYS4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

static void file_close(int *fd)
{
    if (*fd >= 0) SYS1(SYS_close, *fd);
    *fd = -1;
}

/* ---- write protection ------------------------------------------------------------------------ */

static bool protect_open(struct os_watch *watch)
{
    struct uffdio_api api = {.api = UFFD_API, .features = WP_ASYNC};
    watch->faults = (int)SYS1(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (watch->faults < 0) return false;
    return SYS3(SYS_ioctl, watch->faults, UFFDIO_API, &api) == 0;
}

static bool protect_add(const struct os_watch *watch, uintptr_t start, size_t size)
{
    struct uffdio_register memory = {.range = {start, size}, .mode = UFFDIO_REGISTER_MODE_WP};
    return SYS3(SYS_ioctl, watch->faults, UFFDIO_REGISTER, &memory) == 0;
}

/* Pages of start..end that were written to become unwritten, and are told, as far as there is room; the kernel
 * interrupts the other processors once for each page table of these (2 MiB), and for each call. */
static long protect_scan(const struct os_watch *watch, uintptr_t *start, uintptr_t end,
                         struct page_region *region, size_t most, struct scan scan)
{
    scan.flags = SCAN_PROTECTS;
    return pagemap_scan(watch->pagemap, start, end, region, most, scan);
}

static long protect_tell(const struct os_watch *watch, uintptr_t *from, uintptr_t end,
                         struct os_range *ranges, size_t most, struct scan scan)
{
    struct page_region region[OS_WATCH_RANGES];
    long count = protect_scan(watch, from, end, region, base_min(most, OS_WATCH_RANGES), scan);
    for (long i = 0; i < count; i++) ranges[i] = (struct os_range){region[i].start, region[i].end};
    return count;
}

static long protect_take(const struct os_watch *watch, uintptr_t *from, uintptr_t end,
                         struct os_range *ranges, size_t most)
{
    struct scan written = {.category_mask = PAGE_WRITTEN, .return_mask = PAGE_WRITTEN};
    return protect_tell(watch, from, end, ranges, most, written);
}

static bool protect_begin(const struct os_watch *watch, uintptr_t start, uintptr_t end)
{
    struct scan written = {.category_mask = PAGE_WRITTEN};
    return start == end ||
           (protect_scan(watch, &start, end, NULL, 0, written) == 0 && start == end);
}

/* Little of the stack: it may be a program's. */
long os_watch_take_resident(struct os_watch *watch, uintptr_t *from, uintptr_t end, bool all,
                            struct os_range *ranges, size_t most)
{
    struct page_region region[64];
    struct scan scan = {.category_inverted = PAGE_NOTHING,
                        .category_mask = PAGE_NOTHING | (all ? 0 : PAGE_WRITTEN),
                        .category_any = PAGE_PRESENT | PAGE_SWAPPED,
                        .return_mask = PAGE_PRESENT | PAGE_SWAPPED};
    while (*from < end) {
        uintptr_t start = *from;
        long count = protect_scan(watch, from, end, region, base_min(most, 64), scan);
        for (long i = 0; i < count; i++)
            ranges[i] = (struct os_range){region[i].start, region[i].end};
        if (count != 0) return count;
        if (*from == start) return -1;
    }
    return 0;
}

/* ---- soft-dirty bits ------------------------------------------------------------------------- */

static bool soft_clear(const struct os_watch *watch)
{
    return SYS3(SYS_write, watch->clear, "4", 1) == 1;
}

/* Pages that follow each other are one range. */
static long soft_take(const struct os_watch *watch, uintptr_t *from, uintptr_t end,
                      struct os_range *ranges, size_t most)
{
    enum { PAGES = 256 };
    uint64_t entry[PAGES];
    size_t page = os_page_size(), count = 0;
    while (*from < end) {
        size_t pages = base_min((end - *from) / page, PAGES);
        size_t size = pages * sizeof *entry;
        if (SYS4(SYS_pread64, watch->pagemap, entry, size, *from / page * sizeof *entry) !=
            (long)size)
            return -1;
        for (size_t i = 0; i < pages; i++, *from += page) {
            if (!(entry[i] & SOFT_DIRTY)) continue;
            if (count > 0 && ranges[count - 1].end == *from) {
                ranges[count - 1].end += page;
                continue;
            }
            if (count == most) return (long)count;
            ranges[count++] = (struct os_range){*from, *from + page};
        }
    }
    return (long)count;
}

/* ---- either ---------------------------------------------------------------------------------- */

bool os_watch_add(struct os_watch *watch, void *p, size_t size)
{
    if (watch->way != OS_WATCH_PROTECT) return watch->way != OS_WATCH_NONE;
    return protect_add(watch, (uintptr_t)p, size);
}

/* The same as os_watch_take, but -1 when the kernel fails. */
static long take_some(struct os_watch *watch, uintptr_t *from, uintptr_t end,
                      struct os_range *ranges, size_t most)
{
    while (*from < end) {
        uintptr_t start = *from;
        long count = watch->way == OS_WATCH_PROTECT ? protect_take(watch, from, end, ranges, most)
                                                    : soft_take(watch, from, end, ranges, most);
        if (count != 0) return count;
        if (*from == start) return -1;
    }
    return 0;
}

size_t os_watch_take(struct os_watch *watch, uintptr_t *from, uintptr_t end,
                     struct os_range *ranges, size_t most)
{
    long count = take_some(watch, from, end, ranges, most);
    if (count >= 0) return (size_t)count;
    ranges[0] = (struct os_range){*from, end};
    *from = end;
    return 1;
}

bool os_watch_begin(struct os_watch *watch, uintptr_t start, uintptr_t end)
{
    if (watch->way != OS_WATCH_PROTECT) return soft_clear(watch);
    if (protect_begin(watch, start, end)) return true;
    /* Memory that was moved to where it is (os_vm_move) is not watched any more. */
    return protect_add(watch, start, end - start) && protect_begin(watch, start, end);
}

/* The kernel writes to the third page of four, and we to the first: nothing else may be told. */
static bool watch_works(struct os_watch *watch, char *p, size_t page)
{
    uintptr_t from = (uintptr_t)p, end = from + 4 * page;
    struct os_range range[4];
    for (unsigned i = 0; i < 4; i++) p[i * page] = 1;
    if (!os_watch_add(watch, p, 4 * page) || !os_watch_begin(watch, from, end)) return false;
    p[0] = 2;
    if (SYS4(SYS_pread64, watch->pagemap, p + 2 * page, 8, 0) != 8) return false;
    return os_watch_take(watch, &from, end, range, 4) == 2 && range[0].start == (uintptr_t)p &&
           range[0].end == (uintptr_t)p + page && range[1].start == (uintptr_t)p + 2 * page &&
           range[1].end == (uintptr_t)p + 3 * page;
}

static bool way_try(struct os_watch *watch, enum os_watch_way way)
{
    size_t page = os_page_size();
    watch->way = way;
    watch->pagemap = file_open("/proc/thread-self/pagemap", O_RDONLY);
    if (watch->pagemap < 0) return false;
    if (way == OS_WATCH_SOFT_DIRTY)
        watch->clear = file_open("/proc/thread-self/clear_refs", O_WRONLY);
    if (way == OS_WATCH_SOFT_DIRTY ? watch->clear < 0 : !protect_open(watch)) return false;
    char *p = os_vm_reserve(4 * page, page);
    if (p == NULL) return false;
    bool works = os_vm_commit(p, 4 * page) && watch_works(watch, p, page);
    os_vm_release(p, 4 * page);
    return works;
}

bool os_watch_open(struct os_watch *watch, enum os_watch_wish wish)
{
    *watch = (struct os_watch)OS_WATCH_CLOSED;
    if (way_try(watch, OS_WATCH_PROTECT)) return true;
    os_watch_close(watch);
    if (wish == OS_WATCH_ANY && way_try(watch, OS_WATCH_SOFT_DIRTY)) return true;
    os_watch_close(watch);
    return false;
}

void os_watch_close(struct os_watch *watch)
{
    file_close(&watch->faults);
    file_close(&watch->pagemap);
    file_close(&watch->clear);
    watch->way = OS_WATCH_NONE;
}
