// What every workload is written with: random numbers, blocks that prove they are intact, a crew of
// threads, and the job (how much work, over how many threads).
//
// The rules that make rows comparable:
//  - only the C library's malloc family is called; the allocator under test is whatever LD_PRELOAD
//    put behind those names, and the workload cannot tell which it is;
//  - seeds are constants, so that every allocator serves the same sequence of requests (with
//    several threads the interleaving still belongs to the scheduler);
//  - every block is stamped when it is made and checked when it is dropped, so that the compiler
//    keeps the work, and an allocator that hands out the same bytes twice is caught, not praised;
//  - the work of a job is a fixed total that its threads share: a row at 8 threads does as much as
//    the row at 1.
#ifndef BENCH_KIT_H
#define BENCH_KIT_H

#include "common/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// --- random numbers ------------------------------------------------------------------------------

// A size as programs ask for them: half at most 64 bytes, one in twenty above 1 KiB, up to 16 KiB.
size_t random_size(struct random *random);

// 0..count-1 in random order; the caller frees it.
uint32_t *random_order(struct random *random, uint32_t count);

// --- blocks that prove they are intact -----------------------------------------------------------

// A live block and what its stamp must say. 16 bytes, so that a table of a million costs 16 MB.
struct slot {
    unsigned char *block;
    uint32_t size;
    uint32_t tag;
};

// Ends the program with a message: the row becomes an error, never a number.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// malloc that fails the program instead of returning NULL.
static inline void *block_new(size_t size)
{
    void *block = malloc(size);
    if (!block) fail("malloc(%zu) returned NULL", size);
    return block;
}

_Noreturn void block_damaged(const void *block, size_t size);

enum { STAMP_STRIDE = 4096 };

// Writes the tag at the start and the end, and once per 4 KiB between: every page gets resident, as
// in a program that uses what it asked for. Sizes below 4 are not used by any workload.
static inline void block_stamp(unsigned char *block, size_t size, uint32_t tag)
{
    for (size_t at = 0; at + 4 <= size; at += STAMP_STRIDE) memcpy(block + at, &tag, 4);
    block[size - 1] = (unsigned char)tag;
}

static inline void block_check(const unsigned char *block, size_t size, uint32_t tag)
{
    bool intact = block[size - 1] == (unsigned char)tag;
    for (size_t at = 0; at + 4 < size; at += STAMP_STRIDE)
        intact &= memcmp(block + at, &tag, 4) == 0;
    if (!intact) block_damaged(block, size);
}

static inline void slot_fill(struct slot *slot, size_t size, uint32_t tag)
{
    slot->block = block_new(size);
    slot->size = (uint32_t)size;
    slot->tag = tag;
    block_stamp(slot->block, size, tag);
}

// Checks and frees what the slot holds; an empty slot is left alone.
static inline void slot_drop(struct slot *slot)
{
    if (!slot->block) return;
    block_check(slot->block, slot->size, slot->tag);
    free(slot->block);
    slot->block = NULL;
}

struct slot *slots_new(size_t count);              // all empty
void slots_drop(struct slot *slots, size_t count); // drops each, and frees the table

// --- the job -------------------------------------------------------------------------------------

struct job {
    unsigned threads;
    double scale;   // 1 is the full run
    bool hold;      // under the driver: stand still when asked to, so that it can look from outside
    double still_s; // time spent standing still, which is not the workload's
};

// A share of the work: `full` operations at scale 1, split evenly over the job's threads.
size_t job_share(const struct job *job, size_t full);

// The same, not split.
size_t job_total(const struct job *job, size_t full);

// Called when every thread of the workload sleeps and `live_bytes` are still allocated. Stands
// still for `seconds` so that the resident memory of the idle process can be read: by the driver,
// or else here.
void job_settle(struct job *job, unsigned seconds, size_t live_bytes);

double clock_s(void);

// Resident and peak resident memory of this process in KiB, read without allocating.
long rss_kib(const char *field);

// --- threads -------------------------------------------------------------------------------------

typedef void crew_work(void *shared, unsigned index);

// Runs work(shared, 0..threads-1), each in a thread of its own, and waits for all of them. A crew
// of one is the calling thread: a program without threads never makes one, and allocators notice.
void crew_run(unsigned threads, crew_work *work, void *shared);

#endif
