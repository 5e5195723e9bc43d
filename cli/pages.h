/*
 * Which pages of a process are resident: by PAGEMAP_SCAN (Linux 6.7), which gives runs of pages, else by
 * reading /proc/PID/pagemap, 8 bytes a page. The process is not stopped.
 *
 * The kernel's zero page, which backs memory that was only read, is not counted as resident by the
 * kernel; PAGEMAP_SCAN tells it apart, the file cannot.
 */
#ifndef CLI_PAGES_H
#define CLI_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pages {
    int fd;
    bool scan;   /* PAGEMAP_SCAN works, */
    bool guards; /* and tells guards of MADV_GUARD_INSTALL from pages in swap */
    uint64_t page_size;
};

/* False with errno. */
bool pages_open(struct pages *pages, pid_t pid);
void pages_close(struct pages *pages);

/* Calls `each` with every run of resident pages between two addresses, which are multiples of the page
 * size; false if they could not all be read. */
typedef void pages_run(void *context, uint64_t start, uint64_t end);
bool pages_each(const struct pages *pages, uint64_t start, uint64_t end, pages_run *each,
                void *context);

/* The same for a copy: if wished, those in swap too, and none of files or shared memory; guards never, where the kernel tells them. Pages of zeros may be left
 * out. *start becomes the address up to which all were told. */
enum { PAGES_SWAPPED = 1, PAGES_OWN = 2 };
bool pages_each_held(const struct pages *pages, unsigned held, uint64_t *start, uint64_t end,
                     pages_run *each, void *context);

/* The kernel's word for the page of an address: enum below, and the frame where that may be seen. */
bool page_entry(const struct pages *pages, uint64_t address, uint64_t *entry);

#define PAGE_ENTRY_PRESENT (1ull << 63)
#define PAGE_ENTRY_SWAPPED (1ull << 62)
#define PAGE_ENTRY_FILE (1ull << 61) /* of a file, or shared */
#define PAGE_ENTRY_WRITE_PROTECTED (1ull << 57)
#define PAGE_ENTRY_GUARD (1ull << 58) /* from 6.15 on; it looks swapped out too */
#define PAGE_ENTRY_EXCLUSIVE (1ull << 56)
#define PAGE_ENTRY_SOFT_DIRTY (1ull << 55)
#define PAGE_ENTRY_FRAME ((1ull << 55) - 1) /* 0: not permitted (CAP_SYS_ADMIN) */

/* Whether the page is part of a huge one, by PAGEMAP_SCAN; false too where that is not there. */
bool page_is_huge(const struct pages *pages, uint64_t address);
bool page_is_zero(const struct pages *pages, uint64_t address);

#endif
