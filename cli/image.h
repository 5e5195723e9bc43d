/*
 * The memory of a process at one instant, here: copied from a process that stands still, or in a core
 * file that is mapped.
 *
 *     segment    adjacent mappings that can be read as one; its bytes lie at `bytes`, at their distances
 *     run        a stretch of a segment that is really there; the rest reads as zeros
 *
 * Only what a process may have written itself is copied: pages that it has of its own. What still is as
 * in its file holds no pointer to a heap. So a terabyte that was reserved and not used costs nothing.
 */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include "kernel_words.h"
#include "machine.h"
#include "maps.h"

struct run {
    uint64_t start, end;
};

struct segment {
    uint64_t start, end;
    const unsigned char *bytes;
    size_t first_run, runs;
    bool shared, anonymous;
};

struct image_thread {
    pid_t tid;
    struct machine_registers registers;
};

struct image {
    struct maps maps;
    struct segment *segments; /* ascending */
    size_t segment_count;
    struct run *runs;
    size_t run_count, run_capacity;
    struct image_thread *threads;
    size_t thread_count;
    struct kernel_words kernel;
    uint64_t present; /* bytes in runs */
    uint64_t unread;  /* of them, those that could not be read: they are zeros */
    bool of_core;     /* a core file, which may lack mappings that hold nothing */
    bool truncated;   /* its end is missing */

    unsigned char *copy; /* or the mapped file */
    uint64_t copy_size;
    struct image *joined; /* owns what was joined */
};

enum { IMAGE_WHY = 300 };

/* Copies what `source` has, which stands still; shared memory as `target` sees it. `scratch` is a folder
 * for the copy, or NULL for memory. False: `why` says it. image_finish in any case. */
bool image_copy(struct image *image, pid_t source, pid_t target, const char *scratch,
                char why[IMAGE_WHY]);
void image_finish(struct image *image);

/* Of a stopped process, what its child did not get: MADV_DONTFORK, which V8 uses. Often nothing. */
bool image_copy_unforked(struct image *image, pid_t child, pid_t target, char why[IMAGE_WHY]);

/* Adds what `other` has, and empties it. False: no memory. */
bool image_join(struct image *image, struct image *other);

/* `size` bytes at an address, or NULL. */
const unsigned char *image_at(const struct image *image, uint64_t address, uint64_t size);
const struct segment *image_segment(const struct image *image, uint64_t address);

static inline bool image_word(const struct image *image, uint64_t address, uint64_t *word)
{
    const unsigned char *at = image_at(image, address, sizeof *word);
    if (at) __builtin_memcpy(word, at, sizeof *word);
    return at != NULL;
}

/* The next stretch in [*from, *to) that is there. */
bool image_present(const struct image *image, uint64_t *from, uint64_t *to);

/* For those who make an image. Segments and runs are added in ascending order. */
bool image_add_run(struct image *image, struct segment *segment, uint64_t start, uint64_t end);

/* For readers that take a struct memory. */
struct memory image_memory(const struct image *image);

#endif
