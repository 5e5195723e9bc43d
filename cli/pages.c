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
#define SCAN_PRESENT (1ull << 3)
#define SCAN_ZERO (1ull << 5)
#define SCAN_HUGE (1ull << 6)

enum { REGIONS = 512, ENTRIES = 4096 };

/* Runs of resident pages from start on; how many, or -1. *walked is where the kernel came to. */
static int scan(int fd, uint64_t start, uint64_t end, struct scan_region *regions, size_t count,
                uint64_t *walked)
{
    struct scan_argument a = {
        .size = sizeof a,
        .start = start,
        .end = end,
        .vec = (uintptr_t)regions,
        .vec_len = count,
        .category_inverted = SCAN_ZERO,
        .category_mask = SCAN_PRESENT | SCAN_ZERO,
        .return_mask = SCAN_PRESENT | SCAN_HUGE,
    };
    int n = ioctl(fd, SCAN_CALL, &a);
    *walked = a.walk_end;
    return n;
}

bool pages_open(struct pages *pages, pid_t pid)
{
    char path[64];
    struct scan_region region;
    uint64_t walked;
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
    pages->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    pages->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (pages->fd < 0) return false;
    pages->scan = scan(pages->fd, 0, pages->page_size, &region, 1, &walked) >= 0;
    return true;
}

void pages_close(struct pages *pages)
{
    if (pages->fd >= 0) close(pages->fd);
    pages->fd = -1;
}

static bool each_scanned(const struct pages *pages, uint64_t start, uint64_t end,
                         void (*each)(void *, uint64_t, uint64_t), void *context)
{
    struct scan_region regions[REGIONS];
    while (start < end) {
        uint64_t walked;
        int n = scan(pages->fd, start, end, regions, REGIONS, &walked);
        if (n < 0) return false;
        for (int i = 0; i < n; i++) each(context, regions[i].start, regions[i].end);
        if (walked <= start) return false;
        start = walked;
    }
    return true;
}

static bool each_read(const struct pages *pages, uint64_t start, uint64_t end,
                      void (*each)(void *, uint64_t, uint64_t), void *context)
{
    uint64_t entries[ENTRIES], size = pages->page_size;
    while (start < end) {
        uint64_t want = (end - start) / size;
        if (want > ENTRIES) want = ENTRIES;
        ssize_t n = pread(pages->fd, entries, want * 8, (off_t)(start / size * 8));
        if (n < 8) return false;
        for (ssize_t i = 0; i < n / 8; i++) {
            uint64_t at = start + (uint64_t)i * size;
            if (entries[i] & PAGE_ENTRY_PRESENT) each(context, at, at + size);
        }
        start += (uint64_t)(n / 8) * size;
    }
    return true;
}

bool pages_each(const struct pages *pages, uint64_t start, uint64_t end,
                void (*each)(void *context, uint64_t start, uint64_t end), void *context)
{
    return (pages->scan ? each_scanned : each_read)(pages, start, end, each, context);
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
