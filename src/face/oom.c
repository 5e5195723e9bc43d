/*
 * The watcher; see face/oom.h. It sleeps until the kernel tells of stall or of an event of the control group, until
 * the heap has grown by a quarter of what is left below the nearest limit, or until its slow clock has come round.
 *
 *     NONE --start--> STARTING --file and descriptors are there--> WATCHES --stop--> OFF
 *       ^                 |                                          |
 *       |                 +--they are not--> FAILED                  |
 *       +-------- fork, in the child; setuid of the process ---------+
 *
 * From NONE it is started again by the next growth of the heap: a child that only executes another program never
 * has one. Like the purger it does not follow a setuid of the process (decision 0003): it ends within a second, and the
 * next one opens the file with the rights that the process then has.
 *
 * span_bound.mark wakes it: whoever takes a span beyond it sends one signal, blocked in that thread and read there by a
 * descriptor, for the program has none of the watcher's descriptors to write to.
 */
#include "face/oom.h"

#include <errno.h>

#include "os/os.h"
#include "os/pressure.h"
#include "span/purger.h"

enum {
    STACK_SIZE = 32 << 10,
    START_MS = 2000,
    REFUSED_MS = 2000, /* who is refused by the limit waits for the report, at most, */
    CLOSE_MS = 500,    /* and who takes the process close to a limit */
    NAP_MS = 1000,
    NAP_CLOSE_MS = 100,
    CLOSE = 4 << 20, /* bytes: so little room that who grows into it waits each time */
    STEP = 16,       /* slices: the heap grows by less between two looks that it asks for */
    FIND_EVERY = 16, /* looks; the process may be moved to another group */
};

enum stage { STAGE_NONE, STAGE_STARTING, STAGE_WATCHES, STAGE_FAILED, STAGE_OFF };

/* Beside errno's numbers. */
enum { ERROR_FOREIGN = 1000, ERROR_FILES };

static _Atomic uint32_t stage;
static _Atomic int watcher_alive; /* cleared by the kernel when the stack is free again */
static char watcher_stack[STACK_SIZE] __attribute__((aligned(64)));
static _Atomic uint32_t watcher_thread, asked, served;
static _Atomic uint32_t refused; /* slices that the limit refused last, since the last look; or 0 */
static int start_error;

/* The watcher's own. */
static struct {
    int file;
    struct cgroup group;
    struct os_pressure pressure;
    struct oom_judge judge;
    struct cgroup_level max, high;
    uint64_t threshold;    /* limit of the group for which one was asked */
    uint32_t refused;      /* as of this look */
    bool is_told;          /* of the last refusal */
    _Atomic uint32_t hold; /* slices in use beyond which who takes more waits for a look */
    uint32_t looks;
    uint32_t answers; /* requests that this look answers */
} watcher;

/* ---- the file --------------------------------------------------------------------------------------- */

/* Nothing is added to a file that is something else. */
static bool file_is_ours(int fd)
{
    static const char magic[] = OOM_MAGIC;
    char start[sizeof magic - 1];
    long n = os_log_peek(fd, start, sizeof start);
    for (long i = 0; i < n; i++)
        if (start[i] != magic[i]) return false;
    return n == 0 || n == (long)sizeof start;
}

static int file_open_own(void)
{
    watcher.file = os_log_open(options.oom_path);
    if (watcher.file < 0) return -watcher.file;
    return file_is_ours(watcher.file) ? 0 : ERROR_FOREIGN;
}

static void name_read(void)
{
    int fd = os_file_open("/proc/self/comm");
    long n = fd < 0 ? 0 : os_file_read(fd, oom_name, sizeof oom_name - 1);
    if (fd >= 0) os_file_close(fd);
    oom_name[n > 0 ? n - 1 : 0] = 0;
    for (char *c = oom_name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
}

/* ---- a look -------------------------------------------------------------------------------------------- */

static void levels_read(struct oom_level level[OOM_CAUSES])
{
    if (watcher.looks++ % FIND_EVERY == 0) cgroup_find(&watcher.group);
    cgroup_read(&watcher.group, &watcher.max, &watcher.high);
    level[OOM_MAX] = (struct oom_level){watcher.max.used, watcher.max.limit};
    level[OOM_HIGH] = (struct oom_level){watcher.high.used, watcher.high.limit};
    level[OOM_LIMIT] = (struct oom_level){0, CGROUP_NONE};
    if (span_bound.limit == UINT32_MAX) return;
    uint64_t limit = (uint64_t)span_bound.limit << SLICE_SHIFT;
    uint64_t used = (uint64_t)span_slices_in_use() << SLICE_SHIFT;
    watcher.refused = atomic_exchange_explicit(&refused, 0, memory_order_relaxed);
    if (watcher.refused) used = limit; /* it cannot be nearer */
    level[OOM_LIMIT] = (struct oom_level){used, limit};
}

static void answer(void)
{
    atomic_store(&served, watcher.answers);
    os_wake(&served);
}

static void report(enum oom_cause cause, const struct oom_level *level)
{
    const char *where = cause == OOM_MAX    ? watcher.max.path
                        : cause == OOM_HIGH ? watcher.high.path
                                            : NULL;
    struct oom_reason reason = {.cause = cause, .level = *level, .where = where};
    if (cause == OOM_LIMIT && watcher.refused) {
        reason.refused = (uint64_t)watcher.refused << SLICE_SHIFT;
        reason.level.used = (uint64_t)span_slices_in_use() << SLICE_SHIFT;
    }
    oom_report(watcher.file, &reason, answer);
}

/* Whence the next look comes before its time: at a quarter of what is left before a limit is near; and at three
 * quarters who takes more waits for it, since on a busy machine the watcher may not have run by then. */
static void aim(const struct oom_level level[OOM_CAUSES])
{
    uint64_t room = oom_room(&watcher.judge, level), now = span_slices_in_use();
    uint32_t mark = UINT32_MAX, hold = UINT32_MAX;
    if (room != CGROUP_NONE) {
        uint64_t quarter = base_max(room / 4 >> SLICE_SHIFT, STEP);
        mark = (uint32_t)base_min(now + quarter, UINT32_MAX);
        hold = (uint32_t)base_min(room < CLOSE ? mark : now + 3 * quarter, UINT32_MAX);
    }
    STORE(&watcher.hold, hold);
    STORE(&span_bound.mark, mark);
    if (watcher.group.version != 1 || watcher.max.limit == watcher.threshold) return;
    watcher.threshold = watcher.max.limit;
    if (watcher.max.limit == CGROUP_NONE) return;
    static struct cgroup holder;
    holder = watcher.group;
    for (size_t i = 0; i < CGROUP_PATH; i++) holder.path[i] = watcher.max.path[i];
    os_pressure_threshold(&watcher.pressure, &holder, oom_near(watcher.max.limit));
}

/* Returns how long to sleep. */
static uint64_t look(bool stalled)
{
    struct oom_level level[OOM_CAUSES];
    watcher.answers = atomic_load(&asked);
    levels_read(level);
    enum oom_cause cause = oom_judge(&watcher.judge, level, stalled, os_clock_ms());
    if (cause != OOM_NONE) report(cause, &level[cause]);
    __atomic_store_n(&watcher.is_told, watcher.judge.spent[OOM_LIMIT], __ATOMIC_RELAXED);
    aim(level);
    answer();
    return oom_is_close(&watcher.judge, level) ? NAP_CLOSE_MS : NAP_MS;
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

static int watcher_open(void)
{
    if (!os_files_leave()) return ERROR_FILES;
    os_vm_keep(watcher_stack, sizeof watcher_stack);
    int error = file_open_own();
    if (error) return error;
    name_read();
    watcher.judge = (struct oom_judge){0};
    watcher.looks = 0;
    watcher.threshold = CGROUP_NONE;
    cgroup_find(&watcher.group);
    os_pressure_open(&watcher.pressure, &watcher.group);
    return 0;
}

static bool watcher_goes_on(void)
{
    return LOAD(&stage) == STAGE_WATCHES && os_helper_is_current();
}

__attribute__((no_sanitize("address"))) static void watcher_main(void *unused)
{
    (void)unused;
    STORE(&watcher_thread, os_thread_id());
    start_error = watcher_open();
    uint64_t ms = start_error ? 0 : look(false);
    uint32_t starting = STAGE_STARTING;
    atomic_compare_exchange_strong(&stage, &starting, start_error ? STAGE_FAILED : STAGE_WATCHES);
    os_wake(&stage);
    while (!start_error && watcher_goes_on()) {
        unsigned came = os_pressure_wait(&watcher.pressure, ms);
        if (watcher_goes_on()) ms = look(came & PRESSURE_STALL);
    }
    uint32_t watches = STAGE_WATCHES;
    atomic_compare_exchange_strong(&stage, &watches, STAGE_NONE);
    /* Whoever saw it alive, and a process of another user since, start another when the heap grows. */
    STORE(&span_bound.mark, start_error ? UINT32_MAX : span_slices_in_use() + STEP);
    os_helper_exit(); /* and with it its descriptors */
}

static bool watcher_start(void)
{
    uint32_t none = STAGE_NONE;
    if (atomic_load_explicit(&watcher_alive, memory_order_acquire)) return true;
    if (!atomic_compare_exchange_strong(&stage, &none, STAGE_STARTING)) return true;
    if (os_helper_start(watcher_main, NULL, watcher_stack, sizeof watcher_stack, &watcher_alive))
        return true;
    STORE(&stage, STAGE_FAILED);
    return false;
}

/* ---- from the threads of the program ------------------------------------------------------------------------- */

/* What the limit refuses comes after its report: the program may end for it. So does what takes the process close to
 * a limit: it would be touched, and the program killed, before the watcher has run. The one who waits may hold locks
 * of the heap; the watcher waits for none of them for long. */
static void wait_for_report(uint32_t request, unsigned ms)
{
    uint64_t end = os_clock_ms() + ms;
    for (;;) {
        uint32_t seen = atomic_load(&served);
        if ((int32_t)(seen - request) >= 0 || os_clock_ms() >= end) return;
        os_wait(&served, seen, 50);
    }
}

/* Whether the watcher is there, or will be. */
static bool watcher_wake(uint32_t next)
{
    uint32_t now = LOAD(&stage);
    bool over = now == STAGE_FAILED || now == STAGE_OFF;
    STORE(&span_bound.mark, over ? UINT32_MAX : next); /* until it has looked */
    if (over) return false;
    if (fh_registry.pid != os_process_id()) return false; /* in the child of a vfork */
    if (now == STAGE_NONE && !watcher_start()) return false;
    if (now == STAGE_WATCHES) os_pressure_poke(LOAD(&watcher_thread));
    return true;
}

static bool bound_reached(size_t limit_refuses)
{
    uint32_t hold = LOAD(&watcher.hold), in_use = span_slices_in_use();
    bool told = __atomic_load_n(&watcher.is_told, __ATOMIC_RELAXED);
    bool waits = limit_refuses ? !told : in_use >= hold;
    if (limit_refuses) STORE(&refused, (uint32_t)limit_refuses);
    uint32_t request = atomic_fetch_add(&asked, 1) + 1;
    bool next_is_hold = in_use < hold && LOAD(&stage) != STAGE_NONE;
    if (!watcher_wake(next_is_hold ? hold : in_use + STEP)) return false;
    if (waits) wait_for_report(request, limit_refuses ? REFUSED_MS : CLOSE_MS);
    return waits;
}

void oom_stop(void)
{
    if (!options.oom) return;
    uint32_t before = atomic_exchange(&stage, STAGE_OFF);
    STORE(&span_bound.mark, UINT32_MAX);
    if (before == STAGE_WATCHES) os_pressure_poke(LOAD(&watcher_thread));
    static _Atomic uint32_t never;
    while (atomic_load_explicit(&watcher_alive, memory_order_acquire)) os_wait(&never, 0, 1);
}

void oom_fork_child(void)
{
    if (!options.oom) return;
    atomic_store(&watcher_alive, 0);
    uint32_t before = LOAD(&stage);
    if (before == STAGE_FAILED || before == STAGE_OFF) return;
    STORE(&stage, STAGE_NONE);
    STORE(&refused, 0);
    watcher.is_told = false;
    STORE(&watcher.hold, UINT32_MAX);
    STORE(&span_bound.mark, span_slices_in_use() + STEP);
}

/* ---- the start --------------------------------------------------------------------------------------------- */

static const char *start_failure(int error)
{
    switch (error) {
    case EISDIR: return "is a directory; name a file in it";
    case EINVAL:
    case ENXIO: return "is no regular file; name one, or one that is not there yet";
    case ENOENT:
    case ENOTDIR: return "lies in a directory that is not there; make it";
    case EACCES:
    case EPERM:
    case EROFS: return "may not be written to by this user; name another file";
    case ERROR_FOREIGN: return "holds something else; name another file";
    case ERROR_FILES: return "cannot be kept apart from the program's files; needs Linux 5.9";
    default: return "cannot be opened";
    }
}

static bool nothing_is_watched(void)
{
    return watcher.pressure.stall < 0 && watcher.max.limit == CGROUP_NONE &&
           watcher.high.limit == CGROUP_NONE && span_bound.limit == UINT32_MAX;
}

static void wait_for_start(void)
{
    uint64_t end = os_clock_ms() + START_MS;
    while (LOAD_ACQUIRE(&stage) == STAGE_STARTING && os_clock_ms() < end)
        os_wait(&stage, STAGE_STARTING, 50);
}

static void refuse(const char *why)
{
    options_refuse("oom", options.oom_path, why);
}

void oom_start(void)
{
    if (!options.oom) return;
    if (!watcher_start()) {
        refuse("is of no use: the system gives no thread to watch (limits on processes)");
        return;
    }
    wait_for_start();
    if (LOAD_ACQUIRE(&stage) == STAGE_FAILED) {
        refuse(start_failure(start_error));
        return;
    }
    span_bound.reached = bound_reached;
    if (nothing_is_watched())
        refuse("will stay empty: nothing tells here when memory runs short; give option "
               "limit, or a limit to the control group (memory.max), or a kernel with "
               "PSI");
}
