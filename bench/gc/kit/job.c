#include "kit/job.h"

#include <pthread.h>
#include <stdlib.h>

void *roots[ROOTS];

size_t job_total(const struct job *job, size_t full)
{
    size_t count = (size_t)((double)full * job->scale);
    return count ? count : 1;
}

size_t job_share(const struct job *job, size_t full)
{
    size_t count = job_total(job, full) / job->threads;
    return count ? count : 1;
}

void job_begin(struct job *job)
{
    meters_reset();
    job->cpu_begun_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    job->begun_ns = clock_ns(CLOCK_MONOTONIC);
}

void job_end(struct job *job)
{
    if (job->ended_ns) return;
    job->ended_ns = clock_ns(CLOCK_MONOTONIC);
    job->cpu_ended_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (meter) meter_end();
}

// --- threads -------------------------------------------------------------------------------------

struct member {
    pthread_t thread;
    crew_work *work;
    struct job *job;
    unsigned index;
};

static void *member_run(void *argument)
{
    struct member *member = argument;
    mutator_enter();
    meter_begin();
    member->work(member->job, member->index);
    meter_end();
    mutator_leave();
    return NULL;
}

void crew_run(struct job *job, crew_work *work)
{
    if (job->threads == 1) {
        work(job, 0);
        return;
    }
    struct member *members = calloc(job->threads, sizeof *members);
    if (!members) fail("no memory for the crew");
    for (unsigned i = 0; i < job->threads; i++) {
        members[i] = (struct member){.work = work, .job = job, .index = i};
        if (pthread_create(&members[i].thread, NULL, member_run, &members[i]))
            fail("no thread %u of %u", i, job->threads);
    }
    mutator_wait_begin();
    for (unsigned i = 0; i < job->threads; i++) pthread_join(members[i].thread, NULL);
    mutator_wait_end();
    free(members);
}
