/* os/watch.h on Linux. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/syscall.h"
#include "os/linux/pagemap.h"
#include "os/linux/watch_faults.h"
#include "os/os.h"
#include "os/watch.h"

/* Younger than Debian 12's headers; the numbers are the kernel's ABI. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define WP_ASYNC (1 << 15) /* UFFD_FEATURE_WP_ASYNC */
#define SOFT_DIRTY (1ull << 55)

static _Atomic unsigned allowed = OS_WATCH_PROTECT | OS_WATCH_SOFT_DIRTY;
static _Atomic bool by_faults; /* a watch is, of which there is one at a time */

static int file_open(const char *path, int flags)
{
    return (int)SYS4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

/* Forgotten first: in the child of a fork just then, the number may be another file's. */
static void file_close(int *fd)
{
    int number = *fd;
    *fd = -1;
    if (number >= 0) SYS1(SYS_close, number);
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

/* ---- any of them ----------------------------------------------------------------------------- */

void os_watch_allow(unsigned ways)
{
    STORE(&allowed, ways);
}

bool os_watch_by_faults(void)
{
    return LOAD(&by_faults);
}

bool os_watch_add(struct os_watch *watch, void *p, size_t size)
{
    switch (watch->way) {
    case OS_WATCH_NONE: return false;
    case OS_WATCH_PROTECT: return protect_add(watch, (uintptr_t)p, size);
    case OS_WATCH_SOFT_DIRTY: return true;
    case OS_WATCH_FAULTS: return faults_add((uintptr_t)p, size);
    }
    return false;
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
    if (watch->way == OS_WATCH_FAULTS) return faults_take(from, end, ranges, most);
    long count = take_some(watch, from, end, ranges, most);
    if (count >= 0) return (size_t)count;
    ranges[0] = (struct os_range){*from, end};
    *from = end;
    return 1;
}

bool os_watch_begin(struct os_watch *watch, uintptr_t start, uintptr_t end)
{
    if (watch->way == OS_WATCH_FAULTS) return faults_begin(start, end);
    if (watch->way != OS_WATCH_PROTECT) return soft_clear(watch);
    if (protect_begin(watch, start, end)) return true;
    /* Memory that was moved to where it is (os_vm_move) is not watched any more. */
    return protect_add(watch, start, end - start) && protect_begin(watch, start, end);
}

void os_watch_again(uintptr_t start, uintptr_t end)
{
    if (os_watch_by_faults()) faults_again(start, end);
}

void os_watch_end(void)
{
    if (os_watch_by_faults()) faults_end();
}

bool os_watch_fault(const siginfo_t *info)
{
    return info->si_code == SEGV_ACCERR && faults_serve((uintptr_t)info->si_addr);
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

/* The second grain of four is written to; the first and the last are not watched. */
static bool faults_work(struct os_watch *watch, char *p)
{
    uintptr_t from = (uintptr_t)p, end = from + 4 * OS_WATCH_GRAIN;
    struct os_range range[3];
    for (unsigned i = 0; i < 4; i++) p[i * OS_WATCH_GRAIN] = 1;
    if (!os_watch_add(watch, p, 4 * OS_WATCH_GRAIN) || !os_watch_begin(watch, from, end))
        return false;
    os_watch_again(from, end);
    *(volatile char *)(p + OS_WATCH_GRAIN) = 2;
    bool works = os_watch_take(watch, &from, end, range, 3) == 2 &&
                 range[0].end == (uintptr_t)p + 2 * OS_WATCH_GRAIN &&
                 range[1].start == (uintptr_t)p + 3 * OS_WATCH_GRAIN;
    os_watch_end();
    return works;
}

static bool way_open(struct os_watch *watch, enum os_watch_way way)
{
    if (way == OS_WATCH_FAULTS) {
        if (!faults_open()) return false;
        STORE(&by_faults, true);
        return true;
    }
    watch->pagemap = file_open("/proc/thread-self/pagemap", O_RDONLY);
    if (watch->pagemap < 0) return false;
    if (way == OS_WATCH_PROTECT) return protect_open(watch);
    watch->clear = file_open("/proc/thread-self/clear_refs", O_WRONLY);
    return watch->clear >= 0;
}

static bool way_try(struct os_watch *watch, enum os_watch_way way)
{
    size_t page = os_page_size(), size = base_max(4 * page, 4 * OS_WATCH_GRAIN);
    watch->way = way;
    if (!way_open(watch, way)) return false;
    char *p = os_vm_reserve(size, OS_WATCH_GRAIN);
    if (p == NULL) return false;
    bool works = os_vm_commit(p, size) &&
                 (way == OS_WATCH_FAULTS ? faults_work(watch, p) : watch_works(watch, p, page));
    os_vm_release(p, size);
    return works;
}

bool os_watch_open(struct os_watch *watch, enum os_watch_wish wish)
{
    unsigned ways = wish == OS_WATCH_ANY ? LOAD(&allowed) : OS_WATCH_PROTECT;
    *watch = (struct os_watch)OS_WATCH_CLOSED;
    for (unsigned way = OS_WATCH_PROTECT; way <= OS_WATCH_FAULTS; way <<= 1) {
        if (!(ways & way)) continue;
        if (way_try(watch, (enum os_watch_way)way)) return true;
        os_watch_close(watch);
    }
    return false;
}

void os_watch_close(struct os_watch *watch)
{
    if (watch->way == OS_WATCH_FAULTS) {
        faults_close();
        STORE(&by_faults, false);
    }
    file_close(&watch->faults);
    file_close(&watch->pagemap);
    file_close(&watch->clear);
    watch->way = OS_WATCH_NONE;
}
