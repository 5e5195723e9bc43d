/* Two ways to the same answer; the test compares them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pages.h"

/* As in <linux/fs.h> from 6.7 on. */
struct scan_region {
    uint64_t start, end, categories;
};

struct scan_argument {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_CALL _IOWR('f', 16, struct scan_argument)
#define SCAN_FILE (1ull << 2)
#define SCAN_PRESENT (1ull << 3)
#define SCAN_SWAPPED (1ull << 4)
#define SCAN_ZERO (1ull << 5)
#define SCAN_HUGE (1ull << 6)
#define SCAN_GUARD (1ull << 8) /* from 6.15 on */

enum { REGIONS = 512, ENTRIES = 4096 };

/* Which pages, in the words of either way. */
struct wish {
    uint64_t scan_any, scan_none, scan_told; /* runs end where what is told changes */
    uint64_t entry_any, entry_none;
};

static const struct wish wish_resident = {
    .scan_any = SCAN_PRESENT,
    .scan_none = SCAN_ZERO,
    .scan_told = SCAN_PRESENT | SCAN_HUGE,
    .entry_any = PAGE_ENTRY_PRESENT,
};

static struct wish wish_of(const struct pages *pages, unsigned held)
{
    struct wish w = wish_resident;
    w.scan_told = SCAN_PRESENT;
    if (held & PAGES_SWAPPED) {
        w.scan_any |= SCAN_SWAPPED;
        w.entry_any |= PAGE_ENTRY_SWAPPED;
    }
    if (pages->guards) w.scan_none |= SCAN_GUARD;
    w.entry_none |= PAGE_ENTRY_GUARD;
    if (held & PAGES_OWN) {
        w.scan_none |= SCAN_FILE;
        w.entry_none |= PAGE_ENTRY_FILE;
    }
    return w;
}

/* Runs of pages that are wished for from start on; how many, or -1. *walked is where the kernel came to. */
static int scan(int fd, const struct wish *wish, uint64_t start, uint64_t end,
                struct scan_region *regions, size_t count, uint64_t *walked)
{
    struct scan_argument a = {
        .size = sizeof a,
        .start = start,
        .end = end,
        .vec = (uintptr_t)regions,
        .vec_len = count,
        .category_inverted = wish->scan_none,
        .category_mask = wish->scan_none,
        .category_anyof_mask = wish->scan_any,
        .return_mask = wish->scan_told,
    };
    int n = ioctl(fd, SCAN_CALL, &a);
    *walked = a.walk_end;
    return n;
}

static const struct wish wish_guards = {
    .scan_any = SCAN_PRESENT,
    .scan_none = SCAN_GUARD,
    .scan_told = SCAN_PRESENT,
};

bool pages_open(struct pages *pages, pid_t pid)
{
    char path[64];
    struct scan_region region;
    uint64_t walked, page;
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
    pages->page_size = page = (uint64_t)sysconf(_SC_PAGESIZE);
    pages->guards = false;
    pages->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (pages->fd < 0) return false;
    pages->scan = scan(pages->fd, &wish_resident, 0, page, &region, 1, &walked) >= 0;
    pages->guards = scan(pages->fd, &wish_guards, 0, page, &region, 1, &walked) >= 0;
    return true;
}

void pages_close(struct pages *pages)
{
    if (pages->fd >= 0) close(pages->fd);
    pages->fd = -1;
}

/* Both move *start to where they came to. */
static bool each_scanned(const struct pages *pages, const struct wish *wish, uint64_t *start,
                         uint64_t end, pages_run *each, void *context)
{
    struct scan_region regions[REGIONS];
    while (*start < end) {
        uint64_t walked;
        int n = scan(pages->fd, wish, *start, end, regions, REGIONS, &walked);
        if (n < 0) return false;
        for (int i = 0; i < n; i++) each(context, regions[i].start, regions[i].end);
        if (walked <= *start) return false;
        *start = walked;
    }
    return true;
}

static bool each_read(const struct pages *pages, const struct wish *wish, uint64_t *start,
                      uint64_t end, pages_run *each, void *context)
{
    uint64_t entries[ENTRIES], size = pages->page_size;
    while (*start < end) {
        uint64_t want = (end - *start) / size;
        if (want > ENTRIES) want = ENTRIES;
        ssize_t n = pread(pages->fd, entries, want * 8, (off_t)(*start / size * 8));
        if (n < 8) return false;
        for (ssize_t i = 0; i < n / 8; i++, *start += size) {
            if ((entries[i] & wish->entry_any) && !(entries[i] & wish->entry_none))
                each(context, *start, *start + size);
        }
    }
    return true;
}

bool pages_each(const struct pages *pages, uint64_t start, uint64_t end, pages_run *each,
                void *context)
{
    return (pages->scan ? each_scanned : each_read)(pages, &wish_resident, &start, end, each,
                                                    context);
}

bool pages_each_held(const struct pages *pages, unsigned held, uint64_t *start, uint64_t end,
                     pages_run *each, void *context)
{
    struct wish wish = wish_of(pages, held);
    return (pages->scan ? each_scanned : each_read)(pages, &wish, start, end, each, context);
}

bool page_entry(const struct pages *pages, uint64_t address, uint64_t *entry)
{
    off_t at = (off_t)(address / pages->page_size * 8);
    return pread(pages->fd, entry, sizeof *entry, at) == sizeof *entry;
}

/* Whether the one page has the category. */
static bool page_has(const struct pages *pages, uint64_t address, uint64_t category)
{
    struct scan_region region;
    uint64_t page = address / pages->page_size * pages->page_size;
    struct scan_argument a = {
        .size = sizeof a,
        .start = page,
        .end = page + pages->page_size,
        .vec = (uintptr_t)&region,
        .vec_len = 1,
        .category_mask = category,
        .return_mask = category,
    };
    return pages->scan && ioctl(pages->fd, SCAN_CALL, &a) == 1;
}

bool page_is_huge(const struct pages *pages, uint64_t address)
{
    return page_has(pages, address, SCAN_HUGE);
}

bool page_is_zero(const struct pages *pages, uint64_t address)
{
    return page_has(pages, address, SCAN_ZERO);
}
