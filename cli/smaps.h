/*
 * /proc/PID/smaps: the mappings, and what of each is resident, page by page as the kernel counts it.
 *
 *     7f31c0a00000-7f31c0a28000 r--p 00000000 fe:01 131103    /usr/lib/x86_64-linux-gnu/libc.so.6
 *     Size:                160 kB
 *     Rss:                 160 kB
 *     ...
 *     VmFlags: rd mr mw me
 *
 * A mapping takes some 700 bytes of text there, and a process may have half a million: the text is read
 * line by line and never held. The kernel walks the page tables of the process for it, and the process
 * waits if it maps or unmaps meanwhile: of a few GB some ten milliseconds.
 */
#ifndef CLI_SMAPS_H
#define CLI_SMAPS_H

#include "maps.h"

struct area {
    struct mapping mapping;
    uint64_t rss, anonymous, shared, swap; /* bytes */
    uint64_t huge;                         /* in transparent huge pages, part of rss */
    uint64_t hugetlb;                      /* in reserved huge pages, no part of rss */
    bool grows_down;                       /* a main thread's stack */
};

struct smaps {
    struct area *list; /* ascending */
    size_t count, capacity;
    char **names;
    size_t name_count, name_capacity;
    size_t malformed; /* lines that are neither a mapping nor a field */
    bool no_memory;
};

/* Takes the next line, without its newline. */
void smaps_line(struct smaps *smaps, const char *line, size_t length);

/* Reads those of a process; false with errno. smaps_finish in any case. */
bool smaps_read(struct smaps *smaps, pid_t pid);
void smaps_finish(struct smaps *smaps);

/* The area that holds the address, or the first above it; count if there is none. */
size_t smaps_find(const struct smaps *smaps, uint64_t address);

#endif
