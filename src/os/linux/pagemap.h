/* /proc/PID/pagemap asked for ranges of pages by what they are (PAGEMAP_SCAN, Linux 6.7). Younger than Debian 12's
 * headers; the numbers are the kernel's ABI. */
#ifndef OS_LINUX_PAGEMAP_H
#define OS_LINUX_PAGEMAP_H

#include <sys/ioctl.h>

#include "base/syscall.h"

#define PAGE_WRITTEN (1 << 1)
#define PAGE_FILE (1 << 2)
#define PAGE_PRESENT (1 << 3)
#define PAGE_SWAPPED (1 << 4)
#define PAGE_ZERO (1 << 5)
#define PAGE_GUARD (1 << 8)             /* Linux 6.15; before, guards count as swapped */
#define SCAN_PROTECTS (1 << 0 | 1 << 1) /* PM_SCAN_WP_MATCHING, and fails where it cannot */

struct page_region {
    uint64_t start, end, categories;
};

struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_count, max_pages;
    uint64_t category_inverted, category_mask, category_any, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan)

/* What does not count as there: the page of zeros that was read for want of another, and guards. */
#define PAGE_NOTHING (PAGE_ZERO | PAGE_GUARD)

/* Some of *start..end; *start is where the next call goes on. Negative when the kernel fails. */
FH_INLINE long pagemap_scan(int fd, uint64_t *start, uint64_t end, struct page_region *region,
                            size_t most, struct scan scan)
{
    scan.size = sizeof scan;
    scan.start = *start;
    scan.end = end;
    scan.vec = (uintptr_t)region;
    scan.vec_count = most;
    long count = SYS3(SYS_ioctl, fd, SCAN, &scan);
    if (count == -22 /* EINVAL */ && scan.category_mask & PAGE_GUARD) {
        scan.category_mask &= ~(uint64_t)PAGE_GUARD;
        scan.category_inverted &= ~(uint64_t)PAGE_GUARD;
        count = SYS3(SYS_ioctl, fd, SCAN, &scan);
    }
    if (base_syscall_failed(count)) return -1;
    *start = scan.walk_end;
    return count;
}

#endif
