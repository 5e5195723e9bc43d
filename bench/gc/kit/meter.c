#include "kit/meter.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Thread_local struct meter *meter;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gaps result; // under the lock

// --- histogram -----------------------------------------------------------------------------------

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    if (from->max_ns > into->max_ns) into->max_ns = from->max_ns;
    for (unsigned i = 0; i < BUCKETS; i++) into->bucket[i] += from->bucket[i];
}

static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < BUCKETS_PER_DOUBLING) return bucket;
    unsigned doubling = bucket / BUCKETS_PER_DOUBLING - 1;
    uint64_t start = (uint64_t)(BUCKETS_PER_DOUBLING + bucket % BUCKETS_PER_DOUBLING) << doubling;
    return start + ((uint64_t)1 << doubling) - 1;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)((double)histogram->count * share), passed = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        passed += histogram->bucket[i];
        if (passed > wanted)
            return bucket_end(i) < histogram->max_ns ? bucket_end(i) : histogram->max_ns;
    }
    return histogram->max_ns;
}

// --- reading the counters ------------------------------------------------------------------------

// "time on the processor, time of waiting for it, slices"; 0 where the kernel does not say, and held is
// then wall.
static uint64_t delay_read(int schedstat)
{
    char text[96];
    ssize_t length = pread(schedstat, text, sizeof text - 1, 0);
    if (length <= 0) return 0;
    text[length] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoull(second, NULL, 10) : 0;
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

static uint64_t minus(uint64_t value, uint64_t part)
{
    return value > part ? value - part : 0;
}

void meter_look(struct meter *m, uint64_t gap_ns)
{
    uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID), delay_ns = delay_read(m->schedstat);
    if (gap_ns >= LONG_NS) {
        uint64_t others_ns = m->short_ns - gap_ns;
        histogram_add(&m->wall, gap_ns);
        histogram_add(&m->held, minus(gap_ns, delay_ns - m->delay_ns));
        histogram_add(&m->cpu, at_most(minus(cpu_ns - m->cpu_ns, others_ns), gap_ns));
    }
    m->cpu_ns = cpu_ns;
    m->delay_ns = delay_ns;
    m->short_ns = 0;
    m->refresh = REFRESH;
    m->last_ns = clock_ns(CLOCK_MONOTONIC);
}

// --- beginning and end ---------------------------------------------------------------------------

static void meter_start(struct meter *m)
{
    m->steps = STEPS;
    m->last_ns = clock_ns(CLOCK_MONOTONIC);
    meter_look(m, 0);
}

void meter_begin(void)
{
    meter = calloc(1, sizeof *meter);
    if (!meter) fail("no memory for the meter");
    meter->schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    meter_start(meter);
}

void meter_end(void)
{
    struct meter *m = meter;
    pthread_mutex_lock(&lock);
    histogram_merge(&result.wall, &m->shorts);
    histogram_merge(&result.held, &m->shorts);
    histogram_merge(&result.cpu, &m->shorts);
    histogram_merge(&result.wall, &m->wall);
    histogram_merge(&result.held, &m->held);
    histogram_merge(&result.cpu, &m->cpu);
    pthread_mutex_unlock(&lock);
    if (m->schedstat >= 0) close(m->schedstat);
    free(m);
    meter = NULL;
}

void meters_reset(void)
{
    result = (struct gaps){0};
    if (!meter) return;
    int schedstat = meter->schedstat;
    *meter = (struct meter){.schedstat = schedstat};
    meter_start(meter);
}

const struct gaps *meters_result(void)
{
    return &result;
}
