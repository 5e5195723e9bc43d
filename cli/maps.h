/*
 * /proc/PID/maps, parsed: the one list of what a process has mapped.
 *
 *     7f31c0a00000-7f31c0a28000 r--p 00000000 fe:01 131103    /usr/lib/x86_64-linux-gnu/libc.so.6
 *     start        end          perm offset   dev   inode     path, to the end of the line
 *
 * The path is what another process chose: any bytes, of which the kernel escapes only the newline
 * (as \012), and " (deleted)" at its end may be the kernel's remark or a part of the name. A line
 * that does not have this form is left out and counted.
 */
#ifndef CLI_MAPS_H
#define CLI_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mapping {
    uint64_t start, end, offset;
    uint64_t inode; /* 0: no file */
    unsigned device_major, device_minor;
    bool readable, writable, executable, shared;
    bool deleted;
    const char *path; /* "" if there is none; without the kernel's remark */
};

struct maps {
    struct mapping *list; /* ascending addresses, as the kernel writes them */
    size_t count;
    size_t malformed;
    char *names;
};

/* Parses one line without its newline. The path is put at `names`, where it needs no more than
 * length + 1 bytes and takes *used. False if the line has another form. */
bool maps_line(struct mapping *m, const char *line, size_t length, char *names, size_t *used);

/* Parses text of `size` bytes. False only if memory runs out. maps_finish in any case. */
bool maps_parse(struct maps *maps, const char *text, size_t size);

/* Reads and parses those of a process; false with errno. */
bool maps_read(struct maps *maps, pid_t pid);
void maps_finish(struct maps *maps);

/* The mapping that holds the address, or NULL. */
const struct mapping *maps_find(const struct maps *maps, uint64_t address);

/* Whether two mappings are of one file. */
bool maps_same_file(const struct mapping *a, const struct mapping *b);

#endif
