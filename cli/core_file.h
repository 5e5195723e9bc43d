/*
 * An image from a core file (ELF, 64 bits, x86-64 or aarch64; of the kernel or of gcore).
 *
 * The file is mapped, not read: its pages are the kernel's cache, so that a core of 20 GB needs no
 * 20 GB of memory: of a large one at most about 2 GiB is resident (trim.h). Its notes tell the threads' registers and which files were mapped where. Every number
 * in it may be wrong: a segment counts as far as the file goes, a name as far as its note goes.
 */
#ifndef CLI_CORE_FILE_H
#define CLI_CORE_FILE_H

#include "image.h"
#include "trim.h"

struct core {
    int fd;
    uint64_t size;
    uint64_t entry;      /* where the program began to run; 0: not told */
    const char *program; /* its path, as it ran; NULL: not told */
    uint64_t beginning;  /* where the beginning of that file was mapped; 0: not told */
    char name[17];       /* of the program, cut at 16 bytes by the kernel */
    bool has_files;      /* it tells which files were mapped */
    char *paths;         /* theirs; the maps point here */
    size_t path_count;
    struct trim trim;
};

/* False: `why` says it. core_finish and image_finish in any case, in this order. */
bool core_open(struct core *core, struct image *image, const char *path, char why[IMAGE_WHY]);

/* Whether the file is that program: core_program.c. False: `why` says why not. */
bool core_is_of(const struct core *core, const struct image *image, const char *executable,
                char why[IMAGE_WHY]);
void core_finish(struct core *core);

#endif
