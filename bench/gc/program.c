// One program per back end: `gc-NAME WORKLOAD THREADS HEAP_MIB [SCALE]` runs one workload and prints
// one line for the driver: what it took from job_begin to its end, and the gaps that its mutators saw.
// Exit status 3: the heap was exhausted; 4: the back end has no such thing as the workload is about.
#include "kit/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKLOAD(name, function, parameter, live_mib, counts, when, sentence)                      \
    void function##_run(struct job *job);
#include "workloads.def"
#undef WORKLOAD

struct workload {
    const char *name;
    unsigned parameter;
    const char *sentence;
    void (*run)(struct job *job);
};

#define WORKLOAD(name, function, parameter, live_mib, counts, when, sentence)                      \
    {name, parameter, sentence, function##_run},
static const struct workload workloads[] = {
#include "workloads.def"
};
#undef WORKLOAD

enum { WORKLOADS = sizeof workloads / sizeof workloads[0], EXHAUSTED = 3, CANNOT = 4 };

// --- failing -------------------------------------------------------------------------------------

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("error ", stdout);
    vprintf(format, arguments);
    puts("");
    va_end(arguments);
    fflush(stdout);
    _exit(1);
}

void cannot(const char *why)
{
    printf("cannot %s\n", why);
    fflush(stdout);
    _exit(CANNOT);
}

void heap_exhausted(size_t size)
{
    printf("error out of memory within the limit, at a request of %zu bytes\n", size);
    fflush(stdout);
    _exit(EXHAUSTED);
}

// --- the result ----------------------------------------------------------------------------------

static long rss_kib(const char *field)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && kib < 0 && fgets(line, sizeof line, status))
        if (!strncmp(line, field, strlen(field))) kib = strtol(line + strlen(field), NULL, 10);
    if (status) fclose(status);
    return kib;
}

static void gaps_print(const char *name, const struct histogram *gaps)
{
    printf(" %s_p50_us=%.3f %s_p99_us=%.3f %s_p999_us=%.3f %s_max_us=%.3f", name,
           (double)histogram_quantile(gaps, 0.5) * 1e-3, name,
           (double)histogram_quantile(gaps, 0.99) * 1e-3, name,
           (double)histogram_quantile(gaps, 0.999) * 1e-3, name, (double)gaps->max_ns * 1e-3);
}

static void result_print(const struct job *job, uint64_t started_ns)
{
    const struct gaps *gaps = meters_result();
    printf("result wall_s=%.6f cpu_s=%.6f setup_s=%.6f",
           (double)(job->ended_ns - job->begun_ns) * 1e-9,
           (double)(job->cpu_ended_ns - job->cpu_begun_ns) * 1e-9,
           (double)(job->begun_ns - started_ns) * 1e-9);
    printf(" peak_rss_kib=%ld end_rss_kib=%ld collections=%lu product=%llu", rss_kib("VmHWM:"),
           rss_kib("VmRSS:"), heap_collections(), (unsigned long long)job->product);
    gaps_print("pause", &gaps->wall);
    gaps_print("held", &gaps->held);
    gaps_print("cpu", &gaps->cpu);
    puts("");
    fflush(stdout);
}

// --- main ----------------------------------------------------------------------------------------

static const struct workload *workload_find(const char *name)
{
    for (unsigned i = 0; i < WORKLOADS; i++)
        if (!strcmp(workloads[i].name, name)) return &workloads[i];
    return NULL;
}

static int usage(void)
{
    puts("usage: " BACKEND_NAME " WORKLOAD THREADS HEAP_MIB [SCALE]");
    for (unsigned i = 0; i < WORKLOADS; i++)
        printf("  %-14s %s\n", workloads[i].name, workloads[i].sentence);
    return 2;
}

int main(int count, char **arguments)
{
    const struct workload *workload = count > 3 ? workload_find(arguments[1]) : NULL;
    if (!workload) return usage();
    struct job job = {.threads = (unsigned)atoi(arguments[2]),
                      .parameter = workload->parameter,
                      .scale = count > 4 ? atof(arguments[4]) : 1};
    size_t heap_mib = strtoull(arguments[3], NULL, 10);
    if (job.threads < 1 || heap_mib < 1 || job.scale <= 0) return usage();

    uint64_t started_ns = clock_ns(CLOCK_MONOTONIC);
    heap_open(heap_mib << 20);
    meter_begin();
    job_begin(&job);
    workload->run(&job);
    job_end(&job);
    result_print(&job, started_ns);
    // Not through exit: what a collector does for a process that ends anyway is not measured.
    _exit(0);
}
