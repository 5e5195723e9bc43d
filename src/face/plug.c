/*
 * The plug's inner half; see face/plug.h, and freehold/plug.h for the mailbox.
 *
 *     tick --new list?--> taken up: whole, for this process, nothing given back since its look
 *       |
 *       +--> entry: a block in use begins there, of that size --> its bytes, hashed a stretch at a time
 *                --> the same as when it was seen: version + 1, free
 *
 * What makes this right, whatever the command does or dies at: a lost block is not freed or changed by anybody but
 * here. So of an entry it is enough to know that nothing was freed here since the look that made the list. An address
 * is first made, then the list is looked at again, then it is used: a thread that stands between has it in a register,
 * and a look at that moment finds the block reachable; it comes on no later list by that look.
 *
 * It runs where memory is taken, outside of locks: a program that leaks comes by, one that does not has no need. Who
 * finds another thread at it goes on. Nothing is allocated, no system call is made but for the clock.
 *
 * Rejected: to free from the helper thread, which has no heap; to free a whole list at once (the thread would stand
 * for it); to copy the list, which would double its memory: each entry stands for itself, and a list that is written
 * over while we read it has another sequence by then.
 */
#include "face/plug.h"

#include <sys/stat.h>

#include "base/format.h"
#include "base/syscall.h"
#include "heap/classes.h"
#include "os/os.h"
#include "os/say.h"

enum {
    BLOCKS_AT_ONCE = 64,
    BYTES_AT_ONCE = 256 << 10, /* hashed by one thread before it goes on */
    LAUNCH_AFTER_MS = 1000,    /* most programs end earlier */
    RUNS = FH_CLASSES,         /* in freed[] */
    LARGE,
};

static_assert(LARGE + 1 == FH_PLUG_SIZES, "every size has its count");

enum launch_stage { LAUNCH_OFF, LAUNCH_DUE, LAUNCH_OVER };

static struct fh_plug_box *box;       /* NULL: off */
static _Atomic uint32_t launch_stage; /* of the launch */
static _Atomic uint32_t busy;         /* a thread is at it */
static uint64_t launch_ms;

/* The list in work; of who is at it. */
static struct {
    struct fh_plug_head head; /* sequence 0: none */
    uint64_t next;            /* entry */
    uint64_t last;            /* offset of the one before */
    uint64_t look;            /* of the last list that was good */
    struct fh_plug_hash hash; /* of the next entry's block, */
    uint64_t hashed;          /* so far */
    int64_t allowance;        /* bytes that may go now */
    uint64_t allowed_ms;
} work;

static struct {
    dev_t device;
    ino_t file;
    bool is_there;
} stderr_then;

static void count(uint64_t *counter, uint64_t more)
{
    __atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/* ---- lists ---------------------------------------------------------------------------------------------- */

static uint64_t list_sequence(void)
{
    return __atomic_load_n(&box->list.head.sequence, __ATOMIC_ACQUIRE);
}

static void list_end(uint64_t sequence)
{
    work.head.sequence = 0;
    __atomic_store_n(&box->taken, sequence, __ATOMIC_RELEASE);
}

static bool list_is_good(const struct fh_plug_head *head, uint64_t sequence)
{
    if (head->sequence != sequence || head->image != box->image) return false;
    if (head->count > FH_PLUG_ENTRIES) return false;
    if (fh_plug_checksum(head, box->list.entry) != head->checksum) return false;
    if (head->look == 0) return false;
    return head->look == work.look || head->version == box->version;
}

/* What follows a list of the same look must lie behind it. */
static bool list_take(uint64_t sequence)
{
    struct fh_plug_head head = box->list.head;
    if (!list_is_good(&head, sequence)) {
        count(&box->lists_refused, 1);
        return false;
    }
    count(&box->lists, 1);
    if (head.look != work.look) work.last = 0;
    work.look = head.look;
    work.head = head;
    work.next = work.hashed = 0;
    return head.count > 0;
}

/* ---- entries -------------------------------------------------------------------------------------------- */

enum verdict { VERDICT_GO, VERDICT_GONE, VERDICT_CHANGED, VERDICT_LATER, VERDICT_WITHDRAWN };

static bool is_block(const char *p, uint64_t size, bool *large)
{
    struct fh_description d;
    enum fh_kind kind = fh_describe(p, &d);
    *large = kind == FH_LARGE;
    if (kind != FH_BLOCK && kind != FH_LARGE) return false;
    return d.start == p && base_round_up(d.size, 16) == size && !plug_is_kept((uintptr_t)p, size);
}

/* The hash goes on where the last thread left it. */
static bool hash_more(const char *p, uint64_t size, uint64_t *budget)
{
    if (work.hashed == 0) work.hash = fh_plug_hash_begin();
    uint64_t more = base_min(size - work.hashed, *budget);
    fh_plug_hash_add(&work.hash, p + work.hashed, more);
    work.hashed += more;
    *budget -= more;
    return work.hashed == size;
}

/* The address is made by an instruction that the compiler cannot move behind the second look at the list, nor
 * undo: see the head of this file. */
static enum verdict entry_judge(const struct fh_plug_entry *entry, char **p, bool *large,
                                uint64_t *budget)
{
    if (entry->offset <= work.last || entry->offset >= arena.size) return VERDICT_GONE;
    *p = (char *)arena.base + entry->offset;
    __asm__ volatile("" : "+r"(*p)::"memory");
    if (list_sequence() != work.head.sequence) return VERDICT_WITHDRAWN;
    if (entry->offset % 16 || !is_block(*p, entry->size, large)) return VERDICT_GONE;
    if (!hash_more(*p, entry->size, budget)) return VERDICT_LATER;
    return fh_plug_hash_end(&work.hash) == entry->hash ? VERDICT_GO : VERDICT_CHANGED;
}

static void count_block(uint64_t size, bool large)
{
    count(&box->blocks, 1);
    count(&box->bytes, size);
    unsigned which = large ? LARGE : size > SLAB_MAX ? RUNS : class_of(size);
    count(&box->freed[which], 1);
    if (which == RUNS) count(&box->freed_runs_bytes, size);
    if (which == LARGE) count(&box->freed_large_bytes, size);
}

/* Counted before it is done: a look that sees the count before comes before the free. */
static void block_give(char *p, uint64_t size, bool large)
{
    __atomic_store_n(&box->version, box->version + 1, __ATOMIC_SEQ_CST);
    count_block(size, large);
    heap_give(heap_self, p);
}

static void allow(void)
{
    uint64_t now = os_clock_ms(), ms = base_min(now - work.allowed_ms, 1000);
    int64_t most = options.plug_rate / 4;
    work.allowed_ms = now;
    work.allowance += (int64_t)ms * (options.plug_rate / 1000 + 1);
    if (work.allowance > most) work.allowance = most;
}

/* False: no more for now. */
static bool entry_next(uint64_t *budget)
{
    struct fh_plug_entry entry = box->list.entry[work.next];
    char *p;
    bool large;
    enum verdict verdict = entry_judge(&entry, &p, &large, budget);
    if (verdict == VERDICT_LATER || verdict == VERDICT_WITHDRAWN) return false;
    if (verdict == VERDICT_GO) {
        work.allowance -= (int64_t)entry.size;
        block_give(p, entry.size, large);
    }
    if (verdict == VERDICT_GONE) count(&box->gone, 1);
    if (verdict == VERDICT_CHANGED) count(&box->changed, 1);
    if (entry.offset > work.last) work.last = entry.offset;
    work.next++;
    work.hashed = 0;
    return true;
}

static void list_work(uint64_t sequence)
{
    if (work.head.sequence != sequence && !list_take(sequence)) {
        list_end(sequence);
        return;
    }
    uint64_t budget = BYTES_AT_ONCE;
    allow();
    for (int i = 0; i < BLOCKS_AT_ONCE && work.allowance > 0; i++) {
        if (work.next == work.head.count) {
            list_end(sequence);
            return;
        }
        if (!entry_next(&budget)) return;
    }
}

/* ---- the launch ----------------------------------------------------------------------------------------- */

/* `freehold run --plug` looks itself. */
static bool run_looks(void)
{
    const struct fh_run_slot *first = run_slot_first();
    if (!first || first->plug_pid != os_process_id()) return false;
    plug_admit((long)first->plug_by);
    return true;
}

static FH_COLD void launch_if_due(void)
{
    uint32_t waits = LAUNCH_DUE;
    if (os_clock_ms() < launch_ms || fh_registry.pid != os_process_id()) return;
    if (!atomic_compare_exchange_strong(&launch_stage, &waits, LAUNCH_OVER)) return;
    if (run_looks() || __atomic_load_n(&box->looker, __ATOMIC_RELAXED)) return;
    const char *why = locked_in ? "it has locked itself in (prctl) and may start nothing any more; "
                                  "freehold run --plug looks from outside"
                                : plug_launch();
    if (why) os_say("freehold: option plug: nothing is looked for", why);
}

static void launch_arm(void)
{
    launch_ms = os_clock_ms() + base_min((uint64_t)options.plug_age, LAUNCH_AFTER_MS);
    STORE(&launch_stage, LAUNCH_DUE);
}

/* ---- the door ------------------------------------------------------------------------------------------- */

void plug_tick(void)
{
    if (LIKELY(box == NULL)) return;
    if (UNLIKELY(LOAD(&launch_stage) == LAUNCH_DUE)) launch_if_due();
    uint64_t sequence = list_sequence();
    if (sequence & 1 || sequence == __atomic_load_n(&box->taken, __ATOMIC_RELAXED)) return;
    if (atomic_exchange_explicit(&busy, 1, memory_order_acquire)) return;
    /* Who was before us may have ended it. */
    if (sequence != box->taken) list_work(sequence);
    atomic_store_explicit(&busy, 0, memory_order_release);
}

static void box_fill(void)
{
    static const char magic[sizeof box->magic] = FH_PLUG_MAGIC;
    box->layout = FH_PLUG_VERSION;
    box->size = sizeof *box;
    box->pid = os_process_id();
    box->entries = FH_PLUG_ENTRIES;
    box->image = os_random() | 1;
    box->age_ms = (uint64_t)options.plug_age;
    box->rate = (uint64_t)options.plug_rate;
    for (size_t i = 0; i < sizeof magic; i++) box->magic[i] = magic[i];
}

void plug_start(void)
{
    struct stat status;
    size_t page = os_page_size(), size = base_round_up(sizeof *box, page);
    if (!options.plug) return;
    struct fh_plug_box *memory = os_vm_reserve(size, page);
    if (memory == NULL || !os_vm_commit(memory, size)) {
        os_say("freehold: option plug", "no memory for it; nothing will be given back");
        return;
    }
    os_vm_name(memory, size, "freehold:plug");
    box = memory;
    box_fill();
    stderr_then.is_there = !base_syscall_failed(SYS2(SYS_fstat, 2, &status));
    stderr_then.device = status.st_dev;
    stderr_then.file = status.st_ino;
    fh_registry.plug = (uintptr_t)box;
    heap_config.tick = face_tick;
    launch_arm();
}

void plug_fork_child(void)
{
    if (box == NULL) return;
    uint64_t version = box->version;
    *box = (struct fh_plug_box){.version = version};
    work.head.sequence = work.look = 0;
    box_fill();
    atomic_store(&busy, 0);
    launch_arm();
}

/* ---- the end -------------------------------------------------------------------------------------------- */

static void say_size(struct text *t, unsigned which)
{
    text_dec(t, box->freed[which]);
    text_str(t, " x ");
    if (which < FH_CLASSES) {
        text_dec(t, class_facts[which].size);
        text_str(t, " B");
    } else {
        text_str(t, which == RUNS ? "8 to 64 KiB = " : "more = ");
        text_size(t, which == RUNS ? box->freed_runs_bytes : box->freed_large_bytes);
    }
}

/* The sizes of which most went. */
static void say_sizes(struct text *t)
{
    enum { TOLD = 8 };
    bool said[FH_PLUG_SIZES] = {false};
    for (int row = 0; row < TOLD; row++) {
        unsigned most = 0;
        for (unsigned i = 1; i < FH_PLUG_SIZES; i++)
            if (!said[i] && box->freed[i] > (said[most] ? 0 : box->freed[most])) most = i;
        if (said[most] || box->freed[most] == 0) return;
        said[most] = true;
        text_str(t, row ? ", " : "");
        say_size(t, most);
    }
    text_str(t, ", ...");
}

/* Not if standard error has become another file: many programs close it, and open theirs under its number. */
__attribute__((destructor)) static void plug_at_exit(void)
{
    char line[600];
    struct stat now;
    struct text t = TEXT(line);
    if (box == NULL || box->blocks == 0 || box->pid != os_process_id()) return;
    bool same = stderr_then.is_there && !base_syscall_failed(SYS2(SYS_fstat, 2, &now)) &&
                now.st_dev == stderr_then.device && now.st_ino == stderr_then.file;
    if (!same) return;
    text_str(&t, "freehold: plug: gave back ");
    text_dec(&t, box->blocks);
    text_str(&t, box->blocks == 1 ? " block, " : " blocks, ");
    text_size(&t, box->bytes);
    text_str(&t, ", in classes ");
    say_sizes(&t);
    text_char(&t, '\n');
    os_write(2, line, t.length);
}
