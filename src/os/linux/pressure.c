/* os/pressure.h on Linux. */
#include "os/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

#include "base/format.h"
#include "base/syscall.h"
#include "os/cgroup.h"
#include "os/os.h"

/* Ignored where nobody asks for it. The thread has it blocked, and it is sent to that thread alone. */
enum { POKE = SIGURG };

bool os_files_leave(void)
{
    return SYS3(SYS_close_range, 0, UINT32_MAX, CLOSE_RANGE_UNSHARE) == 0;
}

static int directory_open(const char *directory, const char *name, int flags)
{
    char path[CGROUP_PATH + 64];
    struct text t = TEXT(path);
    text_str(&t, directory);
    text_char(&t, '/');
    text_str(&t, name);
    text_end(&t);
    return (int)SYS4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

static bool text_put(int fd, const char *text)
{
    size_t length = 0;
    while (text[length]) length++;
    /* With its end: the kernel takes the last byte of a trigger for that. */
    return SYS3(SYS_write, fd, text, length + 1) == (long)length + 1;
}

/* A tenth of the time somebody waits for memory. Windows other than multiples of two seconds are for the
 * privileged, and before 6.5 all of them are. */
static int stall_open(const char *directory, const char *name)
{
    int fd = directory_open(directory, name, O_RDWR | O_NONBLOCK);
    if (base_syscall_failed(fd)) return -1;
    if (text_put(fd, "some 100000 1000000") || text_put(fd, "some 200000 2000000")) return fd;
    SYS1(SYS_close, fd);
    return -1;
}

/* "some avg10=0.00 avg60=0.16 avg300=0.09 total=50099755" */
static uint64_t stall_total(int fd)
{
    char text[128];
    long n = SYS4(SYS_pread64, fd, text, sizeof text, 0);
    for (long i = 0; i + 6 < n && text[i] != '\n'; i++) {
        if (text[i] != 't' || text[i + 1] != 'o' || text[i + 5] != '=') continue;
        uint64_t total = 0;
        for (i += 6; i < n && text[i] >= '0' && text[i] <= '9'; i++)
            total = total * 10 + (uint64_t)(text[i] - '0');
        return total;
    }
    return 0;
}

/* The kernel's word alone will not do: a new trigger is set off by the first moment of stall, since what was waited
 * for long before counts as if it were of that moment (seen on 6.18). */
static bool stall_is_true(struct os_pressure *p)
{
    enum { LEAST_US = 100000, LEAST_MS = 1000 };
    struct os_stall latest = {stall_total(p->stall), os_clock_ms()};
    if (latest.ms >= p->now.ms + LEAST_MS) {
        p->before = p->now;
        p->now = latest;
    }
    return latest.total >= p->before.total + LEAST_US;
}

static int poke_open(void)
{
    uint64_t set = 1ull << (POKE - 1);
    return (int)SYS4(SYS_signalfd4, -1, &set, sizeof set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int events_open(const struct cgroup *c)
{
    char path[CGROUP_PATH + 64];
    struct text t = TEXT(path);
    text_str(&t, c->path);
    text_str(&t, "/memory.events");
    text_end(&t);
    int fd = (int)SYS1(SYS_inotify_init1, IN_CLOEXEC | IN_NONBLOCK);
    if (base_syscall_failed(fd)) return -1;
    if (!base_syscall_failed(SYS3(SYS_inotify_add_watch, fd, path, IN_MODIFY))) return fd;
    SYS1(SYS_close, fd);
    return -1;
}

void os_pressure_open(struct os_pressure *p, const struct cgroup *c)
{
    *p = (struct os_pressure){.stall = -1, .level = -1, .usage = -1};
    p->poke = poke_open();
    if (c->version == 2) p->stall = stall_open(c->path, "memory.pressure");
    if (p->stall < 0) p->stall = stall_open("/proc/pressure", "memory");
    if (c->version == 2) p->level = events_open(c);
    if (p->stall >= 0) p->now = p->before = (struct os_stall){stall_total(p->stall), os_clock_ms()};
}

static void fd_close(int *fd)
{
    if (*fd >= 0) SYS1(SYS_close, *fd);
    *fd = -1;
}

void os_pressure_close(struct os_pressure *p)
{
    fd_close(&p->stall);
    fd_close(&p->level);
    fd_close(&p->usage);
    fd_close(&p->poke);
}

/* "EVENT USAGE BYTES" */
static bool threshold_ask(const struct os_pressure *p, const struct cgroup *c, uint64_t bytes)
{
    char line[64];
    struct text t = TEXT(line);
    text_dec(&t, (uint64_t)p->level);
    text_char(&t, ' ');
    text_dec(&t, (uint64_t)p->usage);
    text_char(&t, ' ');
    text_dec(&t, bytes);
    text_end(&t);
    int control = directory_open(c->path, "cgroup.event_control", O_WRONLY);
    if (base_syscall_failed(control)) return false;
    bool done = text_put(control, line);
    SYS1(SYS_close, control);
    return done;
}

/* The event goes with its descriptor. */
void os_pressure_threshold(struct os_pressure *p, const struct cgroup *c, uint64_t bytes)
{
    fd_close(&p->level);
    fd_close(&p->usage);
    p->level = (int)SYS2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->usage = directory_open(c->path, "memory.usage_in_bytes", O_RDONLY);
    if (p->level >= 0 && p->usage >= 0 && threshold_ask(p, c, bytes)) return;
    fd_close(&p->level);
    fd_close(&p->usage);
}

static void drain(int fd)
{
    char buffer[512];
    while (SYS3(SYS_read, fd, buffer, sizeof buffer) > 0) {
    }
}

unsigned os_pressure_wait(struct os_pressure *p, uint64_t ms)
{
    struct pollfd wait[] = {
        {.fd = p->stall, .events = POLLPRI},
        {.fd = p->level, .events = POLLIN},
        {.fd = p->poke, .events = POLLIN},
    };
    struct timespec limit = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    long ready = SYS5(SYS_ppoll, wait, 3, &limit, NULL, 0);
    bool stalled = p->stall >= 0 && stall_is_true(p);
    unsigned came = 0;
    if (ready <= 0) return 0;
    if (wait[0].revents & POLLERR) fd_close(&p->stall); /* the group is gone */
    if (wait[0].revents & POLLPRI && stalled) came |= PRESSURE_STALL;
    if (wait[1].revents & POLLIN) came |= PRESSURE_LEVEL;
    if (wait[2].revents & POLLIN) came |= PRESSURE_POKED;
    if (came & PRESSURE_LEVEL) drain(p->level);
    if (came & PRESSURE_POKED) drain(p->poke);
    return came;
}

void os_pressure_poke(uint32_t thread)
{
    SYS3(SYS_tgkill, os_process_id(), thread, POKE);
}

/* ---- the file ------------------------------------------------------------------------------------ */

int os_log_open(const char *path)
{
    struct stat status;
    int flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    long fd = SYS4(SYS_openat, AT_FDCWD, path, flags, 0600);
    if (base_syscall_failed(fd)) return (int)fd;
    if (SYS2(SYS_fstat, fd, &status) == 0 && S_ISREG(status.st_mode)) return (int)fd;
    SYS1(SYS_close, fd);
    return -EINVAL;
}

long os_log_write(int fd, const char *text, size_t length)
{
    return SYS3(SYS_write, fd, text, length);
}

uint64_t os_log_size(int fd)
{
    struct stat status;
    return SYS2(SYS_fstat, fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

void os_log_cut(int fd)
{
    SYS2(SYS_ftruncate, fd, 0);
}

long os_log_peek(int fd, char *buffer, size_t size)
{
    return SYS4(SYS_pread64, fd, buffer, size, 0);
}

/* ---- memory and date ------------------------------------------------------------------------------- */

bool os_vm_resident(const void *p, size_t size, unsigned char *pages)
{
    return SYS3(SYS_mincore, p, size, pages) == 0;
}

void os_vm_keep(const void *p, size_t size)
{
    SYS2(SYS_mlock, p, size);
}

uint64_t os_date(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec;
}
