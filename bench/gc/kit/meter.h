// The meter: how long a mutator did not get on with its own work, measured by the mutator itself.
//
// The workload ticks between pieces of its work that are all about alike and last a few microseconds
// (an iteration, a hundred objects). The time from one tick to the next is a *gap*; what a gap is
// longer than the shortest ones is what somebody else took. Nothing is asked of the collector.
//
// A shared machine makes gaps as well, so a long one (from LONG_NS on) is looked at three ways:
//    wall   by the clock on the wall: the collector, the scheduler and the machine together
//    held   wall without the time in which the thread was ready to run and another had the processor
//           (run delay in /proc/thread-self/schedstat): what remains is running, the collector's code
//           included, and waiting for something, such as for the end of a collection
//    cpu    in the thread's own processor time: only what the thread itself was made to do
// A collector that stops threads shows in held, one that makes them work shows in held and cpu. One that
// takes their processor away shows in wall only: compare with malloc's wall in the same run.
//
// Both counters are read at long gaps, and every REFRESH ticks, so that what short gaps leave between
// two readings (their cpu time is taken for their wall time) cannot pile up. That costs a short gap
// nothing but the clock, about 45 ns. Rejected: reading the processor time at each tick (280 ns).
#ifndef BENCH_GC_METER_H
#define BENCH_GC_METER_H

#include "kit/heap.h"

#include <time.h>

// --- histogram -----------------------------------------------------------------------------------

// 32 buckets to each doubling: a quantile is at most 3 % above what was measured.
enum { BUCKETS_PER_DOUBLING = 32, BUCKETS = 60 * BUCKETS_PER_DOUBLING };

struct histogram {
    uint64_t count, max_ns;
    uint64_t bucket[BUCKETS];
};

static inline unsigned bucket_of(uint64_t ns)
{
    if (ns < BUCKETS_PER_DOUBLING) return (unsigned)ns;
    unsigned doubling = 63 - (unsigned)__builtin_clzll(ns) - 5;
    return (doubling + 1) * BUCKETS_PER_DOUBLING + (unsigned)((ns >> doubling) & 31);
}

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->bucket[bucket_of(ns)]++;
    if (ns > histogram->max_ns) histogram->max_ns = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from);

// The gap that `share` of all do not exceed: its bucket's upper end, at most the longest.
uint64_t histogram_quantile(const struct histogram *histogram, double share);

// --- a thread's meter ----------------------------------------------------------------------------

enum { LONG_NS = 20000, REFRESH = 256, STEPS = 128 };

struct meter {
    uint64_t last_ns;  // the last tick
    uint64_t short_ns; // sum of short gaps since the counters were read
    uint64_t cpu_ns;   // the counters, as last read
    uint64_t delay_ns;
    unsigned refresh; // ticks until they are read again
    unsigned steps;   // until the next tick
    int schedstat;
    struct histogram shorts;          // the gaps below LONG_NS are the same seen any way
    struct histogram wall, held, cpu; // the others
};

// Of the calling thread; mutators only.
extern _Thread_local struct meter *meter;

void meter_begin(void); // makes it and starts it
void meter_end(void);   // hands what it measured over

// From now on, for all threads: what was measured so far is forgotten.
void meters_reset(void);

struct gaps {
    struct histogram wall, held, cpu;
};

// What all threads have handed over since the reset.
const struct gaps *meters_result(void);

void meter_look(struct meter *meter, uint64_t gap_ns);

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// The end of a piece of work.
static inline void meter_tick(void)
{
    struct meter *m = meter;
    mutator_poll();
    uint64_t now = clock_ns(CLOCK_MONOTONIC), gap = now - m->last_ns;
    m->last_ns = now;
    m->short_ns += gap;
    if (gap < LONG_NS) histogram_add(&m->shorts, gap);
    if (__builtin_expect(gap >= LONG_NS || --m->refresh == 0, 0)) meter_look(m, gap);
}

// The same every STEPS steps, for pieces of less than a microsecond.
static inline void meter_step(void)
{
    if (__builtin_expect(--meter->steps == 0, 0)) {
        meter->steps = STEPS;
        meter_tick();
    }
}

#endif
