// The workload program: `workload NAME [threads] [scale]` runs one workload and prints its time.
//
// The time is the workload's own, from its first request to its last; the driver also measures the
// whole process from outside. With --hold (the driver's) the program stands still at the settled
// point of an idle workload and again at its end, each time until a byte or the end of standard
// input arrives, so that /proc can be read while it does.
#include "kit/kit.h"

#include <stdio.h>
#include <unistd.h>

#define WORKLOAD(name, counts, idle_s, ranked, sentence) void name##_run(struct job *job);
#include "workloads.def"
#undef WORKLOAD

struct workload {
    const char *name;
    unsigned threads_first; // the count to run with when none is given
    const char *sentence;
    void (*run)(struct job *job);
};

#define COUNTS(first, ...) first
#define WORKLOAD(name, counts, idle_s, ranked, sentence) {#name, counts, sentence, name##_run},
static const struct workload workloads[] = {
#include "workloads.def"
};
#undef WORKLOAD

enum { WORKLOADS = sizeof workloads / sizeof workloads[0] };

static const struct workload *workload_find(const char *name)
{
    for (unsigned i = 0; i < WORKLOADS; i++)
        if (!strcmp(workloads[i].name, name)) return &workloads[i];
    return NULL;
}

static int usage(void)
{
    puts("usage: workload NAME [threads] [scale]     scale 1 takes about a second or two");
    for (unsigned i = 0; i < WORKLOADS; i++)
        printf("  %-13s %s\n", workloads[i].name, workloads[i].sentence);
    return 2;
}

static void result_print(const struct workload *workload, const struct job *job, double wall_s)
{
    if (job->hold) {
        printf("result inner_s=%.6f\n", wall_s);
        fflush(stdout);
        char end;
        if (read(STDIN_FILENO, &end, 1) < 0) fail("the driver is gone");
    } else {
        printf("%s threads=%u scale=%g wall_s=%.3f peak_rss_kib=%ld\n", workload->name,
               job->threads, job->scale, wall_s, rss_kib("VmHWM:"));
    }
}

int main(int count, char **arguments)
{
    struct job job = {.scale = 1};
    if (count > 1 && !strcmp(arguments[count - 1], "--hold")) {
        job.hold = true;
        count--;
    }
    const struct workload *workload = count > 1 ? workload_find(arguments[1]) : NULL;
    if (!workload) return usage();
    job.threads = count > 2 ? (unsigned)atoi(arguments[2]) : workload->threads_first;
    job.scale = count > 3 ? atof(arguments[3]) : 1;
    if (job.threads < 1 || job.scale <= 0) return usage();

    double from = clock_s();
    workload->run(&job);
    result_print(workload, &job, clock_s() - from - job.still_s);
    return 0;
}
