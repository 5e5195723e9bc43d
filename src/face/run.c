/*
 * The slot that `freehold run` reads: a shared mapping, so that what a process did is known even if
 * it is killed. Filled as memory is taken, never in the fast paths.
 *
 * A note is a count of all spans and lists. A slow path (a tick) takes one if the heap is larger than
 * ever by a sixty-fourth, or if there were a sixty-fourth more ticks, or after 50 ms. So a peak is
 * missed by what came behind the last tick: 2 %, or what was handed out of the lists filled by
 * then, at most 16 KiB of each size. To count every malloc would cost more than malloc does.
 */
#include <sys/auxv.h>
#include <sys/resource.h>

#include "base/syscall.h"
#include "face/face.h"
#include "os/os.h"
#include "span/purger.h"

#define FILE_SIZE (sizeof(struct fh_run_slot) * FH_RUN_SLOTS)

static struct fh_run_slot *slots, *slot;
static struct lock slot_lock;
static _Atomic uint32_t note_wanted;
static struct fh_run_slot inherited; /* counts from before the fork that made this process */

/* When the next note is due. All of it is a hint; threads change it without a lock. */
static struct {
    uint64_t in_use, in_use_most, held_most; /* slices, at the last note and at all of them */
    uint64_t ticks;                          /* so far */
    uint64_t soon;                           /* the next note may be taken if the heap has grown */
    uint64_t tick, ms;                       /* the next note is taken */
} pace;

static uint64_t slices_in_use(void)
{
    return __atomic_load_n(&fh_registry.slabs, __ATOMIC_RELAXED) +
           __atomic_load_n(&fh_registry.runs, __ATOMIC_RELAXED) +
           (__atomic_load_n(&fh_registry.large_bytes, __ATOMIC_RELAXED) >> SLICE_SHIFT);
}

static uint64_t slices_dirty(void)
{
    return __atomic_load_n(&fh_registry.dirty_slices, __ATOMIC_RELAXED);
}

static void pace_raise(uint64_t *most, uint64_t now)
{
    if (now > __atomic_load_n(most, __ATOMIC_RELAXED))
        __atomic_store_n(most, now, __ATOMIC_RELAXED);
}

/* The cost of a note grows with the heap, and the distance to the next with it. */
static void pace_set(uint64_t began_ms)
{
    uint64_t in_use = slices_in_use(), now = os_clock_ms();
    uint64_t ticks = __atomic_load_n(&pace.ticks, __ATOMIC_RELAXED);
    __atomic_store_n(&pace.in_use, in_use, __ATOMIC_RELAXED);
    pace_raise(&pace.in_use_most, in_use);
    pace_raise(&pace.held_most, in_use + slices_dirty());
    __atomic_store_n(&pace.soon, ticks + 1 + in_use / 8, __ATOMIC_RELAXED);
    __atomic_store_n(&pace.tick, ticks + 1 + base_max(ticks / 64, in_use / 8), __ATOMIC_RELAXED);
    __atomic_store_n(&pace.ms, now + 50 + 20 * (now - began_ms), __ATOMIC_RELAXED);
}

static bool has_grown(uint64_t now, const uint64_t *since)
{
    uint64_t before = __atomic_load_n(since, __ATOMIC_RELAXED);
    return now > before + before / 64;
}

static bool pace_is_due(void)
{
    uint64_t ticks = __atomic_load_n(&pace.ticks, __ATOMIC_RELAXED) + 1, in_use = slices_in_use();
    __atomic_store_n(&pace.ticks, ticks, __ATOMIC_RELAXED);
    if (ticks >= __atomic_load_n(&pace.tick, __ATOMIC_RELAXED)) return true;
    if (has_grown(in_use, &pace.in_use_most)) return true;
    if (has_grown(in_use + slices_dirty(), &pace.held_most)) return true;
    bool soon = ticks >= __atomic_load_n(&pace.soon, __ATOMIC_RELAXED);
    if (soon && has_grown(in_use, &pace.in_use)) return true;
    return os_clock_ms() >= __atomic_load_n(&pace.ms, __ATOMIC_RELAXED);
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

static void slot_count_all(struct fh_run_slot *s)
{
    uint64_t bucket[FH_RUN_BUCKETS] = {0};
    s->allocated = s->allocated_bytes = 0;
    slot_count(s, bucket, &fh_registry.large_allocated, &fh_registry.large_allocated_bytes);
    for (int i = 0; i < FH_RUN_SHARDS; i++) {
        struct fh_run_shard *shard = &fh_registry.run_shard[i];
        slot_count(s, bucket, &shard->allocated, &shard->allocated_bytes);
    }
    uint64_t blocks[POLICY_CLASSES];
    policy_allocated(blocks);
    for (unsigned c = 1; c < POLICY_CLASSES; c++) {
        s->allocated += blocks[c];
        s->allocated_bytes += blocks[c] * policy_class_size(c);
        bucket[base_log2(policy_class_size(c) - 1)] += blocks[c];
    }
    for (int i = 0; i < FH_RUN_BUCKETS; i++) s->bucket[i] = bucket[i];
    s->purged_bytes = __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED);
}

static void slot_count_own(struct fh_run_slot *s)
{
    struct fh_run_slot all;
    slot_count_all(&all);
    s->allocated = all.allocated - base_min(inherited.allocated, all.allocated);
    s->allocated_bytes =
        all.allocated_bytes - base_min(inherited.allocated_bytes, all.allocated_bytes);
    s->purged_bytes = all.purged_bytes - base_min(inherited.purged_bytes, all.purged_bytes);
    for (int i = 0; i < FH_RUN_BUCKETS; i++)
        s->bucket[i] = all.bucket[i] - base_min(inherited.bucket[i], all.bucket[i]);
}

/* Holds: slot_lock. */
static void slot_update(struct fh_run_slot *s)
{
    uint64_t began_ms = os_clock_ms();
    struct fh_usage u;
    policy_usage(&u);
    s->last = u;
    if (u.live > s->peak.live) s->peak = u;
    uint64_t held = u.live + u.free_in_slabs + u.thread_lists + u.remote + u.dirty + u.metadata;
    if (held > s->peak_held) s->peak_held = held;
    slot_count_own(s);
    s->threads_peak = __atomic_load_n(&fh_registry.threads_peak, __ATOMIC_RELAXED);
    s->heaps = policy_heaps();
    s->purge_delay_ms = purger.delay_ms;
    s->updated_ms = os_clock_ms();
    pace_set(began_ms);
}

void run_slot_tick(void)
{
    if (slot == NULL || !pace_is_due()) return;
    /* Who finds another at it leaves word, since there may be more to count by now. The fence is between
     * the word and the try there, and between the giving of the lock and a look at the word here. */
    for (atomic_store(&note_wanted, 1);;) {
        atomic_thread_fence(memory_order_seq_cst);
        if (!atomic_load(&note_wanted) || !lock_try(&slot_lock)) return;
        atomic_store(&note_wanted, 0);
        slot_update(slot);
        lock_give(&slot_lock);
    }
}

static void slot_name(struct fh_run_slot *s)
{
    int fd = os_file_open("/proc/self/comm");
    if (fd < 0) return;
    long n = os_file_read(fd, s->program, sizeof s->program - 1);
    if (n > 0 && s->program[n - 1] == '\n') s->program[n - 1] = 0;
    os_file_close(fd);
}

/* What the kernel puts into each program that it starts; forks keep it. */
static uint64_t image_id(void)
{
    const uint64_t *random = (const uint64_t *)getauxval(AT_RANDOM);
    return random ? random[0] : 0;
}

/* The slot of this process from before it executed this program, if nothing was noted there: a shell
 * that forks and executes a thousand times needs not twice as many. Of the same program it is that of
 * another copy of the library, which goes on using it. */
static struct fh_run_slot *slot_left_empty(uint32_t pid, uint64_t image)
{
    uint32_t claimed = __atomic_load_n(&slots[0].claimed, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < base_min(claimed, FH_RUN_SLOTS); i++) {
        struct fh_run_slot *s = &slots[i];
        bool empty = s->updated_ms == s->started_ms && !s->finished;
        if (s->pid == pid && s->image != image && empty) return s;
    }
    return NULL;
}

static void slot_open(void)
{
    uint32_t pid = os_process_id();
    uint64_t image = image_id();
    slot = slot_left_empty(pid, image);
    if (slot == NULL) {
        uint32_t i = __atomic_fetch_add(&slots[0].claimed, 1, __ATOMIC_RELAXED);
        if (i >= FH_RUN_SLOTS) return;
        slot = &slots[i];
    }
    slot->pid = pid;
    slot->image = image;
    slot->stands = 0;
    slot->parent = (uint32_t)SYS0(SYS_getppid);
    slot->started_ms = slot->updated_ms = os_clock_ms();
    slot_name(slot);
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
        if (!is_name_of_run(options.run_file_path))
            options_refuse("run_file", options.run_file_path,
                           "is no file that `freehold run` made");
        return;
    }
    slot_open();
}

struct fh_run_slot *run_slot_first(void)
{
    return slots;
}

struct fh_run_slot *run_slot_own(void)
{
    return slot;
}

void run_slot_stands(void)
{
    if (slot == NULL) return;
    slot->stands = 1;
    policy_set_tick(face_tick);
}

void run_slot_fork_child(void)
{
    lock_reset(&slot_lock);
    if (slots == NULL) return;
    slot_count_all(&inherited);
    slot_open();
    if (slot) slot->stands = 1;
    __atomic_store_n(&pace.tick, 0, __ATOMIC_RELAXED);
}

__attribute__((destructor)) static void run_slot_finish(void)
{
    struct fh_run_slot *s = slot;
    if (s == NULL) return;
    lock_take(&slot_lock);
    if (s->stands) slot_update(s);
    struct rusage usage;
    if (SYS2(SYS_getrusage, RUSAGE_SELF, &usage) == 0)
        s->peak_rss = (uint64_t)usage.ru_maxrss * KIB;
    s->finished = 1;
    lock_give(&slot_lock);
}
