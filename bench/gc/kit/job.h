// What a workload is given: how much to do, over how many threads; and how it says where its
// measured part begins.
#ifndef BENCH_GC_JOB_H
#define BENCH_GC_JOB_H

#include "common/random.h"
#include "kit/heap.h"
#include "kit/meter.h"

struct job {
    unsigned threads;
    unsigned parameter; // the row's: a depth, a size, a variant
    double scale;       // of the work; what is live stays as it is, so that the heap does
    uint64_t product; // of what was computed; must be the same over every back end. 0: not compared
    uint64_t begun_ns, cpu_begun_ns;
    uint64_t ended_ns, cpu_ended_ns;
};

// `full` operations at scale 1, at least one; job_share: split evenly over the threads.
size_t job_total(const struct job *job, size_t full);
size_t job_share(const struct job *job, size_t full);

// What was done so far was preparation: clocks and meters start anew.
void job_begin(struct job *job);

// What follows is checking. The program calls it where the workload did not.
void job_end(struct job *job);

// Runs work(job, 0..threads-1), each in a thread of its own, and waits for all of them. A single one
// is the calling thread's.
typedef void crew_work(struct job *job, unsigned index);
void crew_run(struct job *job, crew_work *work);

#endif
