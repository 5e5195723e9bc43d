#include "kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

// --- failing -------------------------------------------------------------------------------------

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("workload: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

void block_damaged(const void *block, size_t size)
{
    fail("the block of %zu bytes at %p does not hold what was written to it", size, block);
}

// --- random numbers ------------------------------------------------------------------------------

size_t random_size(struct random *random)
{
    size_t percent = random_below(random, 100);
    if (percent < 50) return random_between(random, 8, 64);
    if (percent < 80) return random_between(random, 65, 256);
    if (percent < 95) return random_between(random, 257, 1024);
    if (percent < 99) return random_between(random, 1025, 4096);
    return random_between(random, 4097, 16384);
}

uint32_t *random_order(struct random *random, uint32_t count)
{
    uint32_t *order = block_new(count * sizeof *order);
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)random_below(random, i);
        uint32_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
    return order;
}

// --- slots ---------------------------------------------------------------------------------------

struct slot *slots_new(size_t count)
{
    struct slot *slots = calloc(count, sizeof *slots);
    if (!slots) fail("calloc of %zu slots returned NULL", count);
    return slots;
}

void slots_drop(struct slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) slot_drop(&slots[i]);
    free(slots);
}

// --- the job -------------------------------------------------------------------------------------

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

double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// VmRSS and VmHWM of /proc/self/status are summed exactly when read, unlike ru_maxrss.
long rss_kib(const char *field)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return -1;
    text[length] = '\0';
    const char *line = strstr(text, field);
    return line ? strtol(line + strlen(field) + 1, NULL, 10) : -1;
}

// The driver reads the line, looks at /proc for as long as it wants, and answers one byte.
static void hold_for_driver(size_t live_bytes)
{
    char line[64];
    int length = snprintf(line, sizeof line, "settled live_kib=%zu\n", live_bytes / 1024);
    char go;
    if (write(STDOUT_FILENO, line, (size_t)length) != length || read(STDIN_FILENO, &go, 1) < 0)
        fail("the driver is gone");
}

void job_settle(struct job *job, unsigned seconds, size_t live_bytes)
{
    double from = clock_s();
    if (job->hold) {
        hold_for_driver(live_bytes);
    } else {
        long before = rss_kib("VmRSS:");
        sleep(seconds);
        printf("settled live_kib=%zu rss_kib=%ld after_%us_kib=%ld\n", live_bytes / 1024, before,
               seconds, rss_kib("VmRSS:"));
    }
    job->still_s += clock_s() - from;
}

// --- threads -------------------------------------------------------------------------------------

struct member {
    pthread_t thread;
    crew_work *work;
    void *shared;
    unsigned index;
};

static void *member_run(void *argument)
{
    struct member *member = argument;
    member->work(member->shared, member->index);
    return NULL;
}

void crew_run(unsigned threads, crew_work *work, void *shared)
{
    if (threads == 1) {
        work(shared, 0);
        return;
    }
    struct member *members = block_new(threads * sizeof *members);
    for (unsigned i = 0; i < threads; i++) {
        members[i] = (struct member){.work = work, .shared = shared, .index = i};
        if (pthread_create(&members[i].thread, NULL, member_run, &members[i]))
            fail("no thread %u of %u", i, threads);
    }
    for (unsigned i = 0; i < threads; i++) pthread_join(members[i].thread, NULL);
    free(members);
}
