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
    bool thorough;    /* see below */

    /* Of a running process: pages are read when they are first looked at. */
    const struct memory *memory; /* NULL: everything is here */
    uint64_t *read;              /* a bit for each IMAGE_AT_ONCE bytes of the copy */

    unsigned char *copy; /* or the mapped file */
    uint64_t copy_size;
    struct image *joined; /* owns what was joined */
};

enum { IMAGE_WHY = 300, IMAGE_AT_ONCE = 16 << 10 };

/* Who tells of what is lost may be wrong for once; who frees it may not. `thorough` is for the latter:
 *   - memory that is shared is read while all stand, with what a fork leaves out;
 *   - memory that may not be read now (mprotect) is read too, where the kernel lets us;
 *   - nothing of a stack counts as dead, for coroutines may lie where a dead part seems to be;
 *   - words at multiples of 4 count, and what points into a block is as good as what points to it;
 *   - memory of the heap that is on its way from one purpose to another counts as roots. */
struct image_care {
    bool thorough;
    const char *scratch; /* a folder for the copy; NULL: in memory */
};

/* Copies what `source` has, which stands still; shared memory as `target` sees it. False: `why` says it.
 * image_finish in any case. */
bool image_copy(struct image *image, pid_t source, pid_t target, const struct image_care *care,
                char why[IMAGE_WHY]);
void image_finish(struct image *image);

/* Of a process that runs on: nothing is copied but what is looked at, and that once, so that a reader sees
 * words of one moment stay as they are, and different pages at different moments. What is swapped out is
 * not there. `memory` is kept. */
bool image_open_running(struct image *image, pid_t pid, const struct memory *memory,
                        char why[IMAGE_WHY]);
uint64_t image_read_bytes(const struct image *image);

/* Memory that this machine has left for images. */
uint64_t image_room(void);

/* Whether `scratch` of image_copy can be this folder; false: `why` says why not. */
bool image_scratch_possible(const char *folder, char why[IMAGE_WHY]);

/* Of a stopped process, what its child did not get: MADV_DONTFORK, which V8 uses. Often nothing. With
 * `thorough` also what it shares. */
bool image_copy_unforked(struct image *image, pid_t child, pid_t target, bool thorough,
                         char why[IMAGE_WHY]);

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

/* The first multiple of `step`, a power of two, in [at, end) that is there, or `end`. */
uint64_t image_next(const struct image *image, uint64_t at, uint64_t end, uint64_t step);

/* For those who make an image. Segments and runs are added in ascending order. */
bool image_add_run(struct image *image, struct segment *segment, uint64_t start, uint64_t end);

/* For image_at: the bytes are needed now. */
void image_need(const struct image *image, uint64_t address, uint64_t size);

/* For readers that take a struct memory. */
struct memory image_memory(const struct image *image);

#endif
