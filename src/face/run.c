/*
 * The slot that `freehold run` reads: a shared mapping, so that what a process did is known even if
 * it is killed. Filled as memory is taken, never in the fast paths.
 *
 * The peak of live bytes is found by counting at growth: whenever slabs and large blocks together
 * have grown by a sixty-fourth over the last count, all spans are counted. So it is right within 2 %
 * at the price of one descriptor read for each that was allocated.
 */
#include <sys/resource.h>

#include "base/syscall.h"
#include "face/face.h"
#include "os/os.h"
#include "span/purger.h"

#define FILE_SIZE (sizeof(struct fh_run_slot) * FH_RUN_SLOTS)

static struct fh_run_slot *slots, *slot;
static struct lock slot_lock;
static uint64_t counted_slices; /* in use at the last count */
static uint64_t next_update_ms;

static uint64_t slices_in_use(void)
{
    return __atomic_load_n(&fh_registry.slabs, __ATOMIC_RELAXED) +
           __atomic_load_n(&fh_registry.runs, __ATOMIC_RELAXED) +
           (__atomic_load_n(&fh_registry.large_bytes, __ATOMIC_RELAXED) >> SLICE_SHIFT);
}

/* Blocks of which only number and sum are known count as of their mean size. */
static void slot_count(struct fh_run_slot *s, uint64_t *bucket, uint64_t *number, uint64_t *bytes)
{
    uint64_t n = __atomic_load_n(number, __ATOMIC_RELAXED);
    uint64_t sum = __atomic_load_n(bytes, __ATOMIC_RELAXED);
    s->allocated += n;
    s->allocated_bytes += sum;
    if (n && sum > n) bucket[base_log2(sum / n)] += n;
}

static void slot_count_classes(struct fh_run_slot *s)
{
    uint64_t bucket[FH_RUN_BUCKETS] = {0};
    s->allocated = s->allocated_bytes = 0;
    slot_count(s, bucket, &fh_registry.large_allocated, &fh_registry.large_allocated_bytes);
    for (int i = 0; i < FH_RUN_SHARDS; i++) {
        struct fh_run_shard *shard = &fh_registry.run_shard[i];
        slot_count(s, bucket, &shard->allocated, &shard->allocated_bytes);
    }
    for (uint32_t i = 0; i < heap_count(); i++) {
        for (unsigned c = 1; c < CLASSES; c++) {
            uint64_t n = heap_allocated(heap_at(i), c);
            s->allocated += n;
            s->allocated_bytes += n * class_facts[c].size;
            bucket[base_log2(class_facts[c].size - 1)] += n;
        }
    }
    for (int i = 0; i < FH_RUN_BUCKETS; i++) s->bucket[i] = bucket[i];
}

/* Holds: slot_lock. */
static void slot_update(struct fh_run_slot *s)
{
    uint64_t before = os_clock_ms();
    heap_usage(&s->last);
    if (s->last.live > s->peak.live) s->peak = s->last;
    slot_count_classes(s);
    s->purged_bytes = __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED);
    s->threads_peak = __atomic_load_n(&fh_registry.threads_peak, __ATOMIC_RELAXED);
    s->heaps = heap_count();
    s->purge_delay_ms = purger.delay_ms;
    s->updated_ms = os_clock_ms();
    counted_slices = slices_in_use();
    /* At most a twentieth of the time goes into counting, however large the heap. */
    next_update_ms = s->updated_ms + 50 + 20 * (s->updated_ms - before);
}

void run_slot_tick(void)
{
    struct fh_run_slot *s = slot;
    if (s == NULL) return;
    uint64_t now = slices_in_use(), last = __atomic_load_n(&counted_slices, __ATOMIC_RELAXED);
    bool grown = now > last + last / 64 + 1;
    bool late = os_clock_ms() >= __atomic_load_n(&next_update_ms, __ATOMIC_RELAXED);
    if ((!grown && !late) || !lock_try(&slot_lock)) return;
    slot_update(s);
    lock_give(&slot_lock);
}

static void slot_open(void)
{
    uint32_t i = __atomic_fetch_add(&slots[0].claimed, 1, __ATOMIC_RELAXED);
    slot = i < FH_RUN_SLOTS ? &slots[i] : NULL;
    if (slot == NULL) return;
    slot->pid = os_process_id();
    slot->parent = (uint32_t)SYS0(SYS_getppid);
    slot->started_ms = slot->updated_ms = os_clock_ms();
    int fd = os_file_open("/proc/self/comm");
    if (fd < 0) return;
    long n = os_file_read(fd, slot->program, sizeof slot->program - 1);
    if (n > 0 && slot->program[n - 1] == '\n') slot->program[n - 1] = 0;
    os_file_close(fd);
}

static bool is_magic(const char *magic)
{
    static const char expected[sizeof slots->magic] = FH_RUN_MAGIC;
    for (size_t i = 0; i < sizeof expected; i++)
        if (magic[i] != expected[i]) return false;
    return true;
}

static struct fh_run_slot *slots_map(const char *path)
{
    struct fh_run_slot *map = os_memfd_map(path, FILE_SIZE);
    if (map == NULL || is_magic(map->magic)) return map;
    SYS2(SYS_munmap, map, FILE_SIZE);
    return NULL;
}

/* The name that `freehold run` gives, /proc/PID/fd/N, leads nowhere when the command ended before the
 * process, or is another user's: that is in order, and not worth a line in every daemon. */
static bool is_name_of_run(const char *path)
{
    const char *proc = "/proc/";
    while (*proc && *path == *proc) path++, proc++;
    return *proc == 0;
}

void run_slot_claim(void)
{
    if (!options.run_file) return;
    slots = slots_map(options.run_file_path);
    if (slots == NULL) {
        if (!is_name_of_run(options.run_file_path)) options_refuse_run_file();
        return;
    }
    slot_open();
    if (slot) heap_config.tick = run_slot_tick;
}

void run_slot_fork_child(void)
{
    lock_reset(&slot_lock);
    if (slots) slot_open();
}

__attribute__((destructor)) static void run_slot_finish(void)
{
    struct fh_run_slot *s = slot;
    if (s == NULL) return;
    lock_take(&slot_lock);
    slot_update(s);
    struct rusage usage;
    if (SYS2(SYS_getrusage, RUSAGE_SELF, &usage) == 0)
        s->peak_rss = (uint64_t)usage.ru_maxrss * KIB;
    s->finished = 1;
    lock_give(&slot_lock);
}
