/* See report.h. */
#include "hard/report.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/lock.h"
#include "base/syscall.h"
#include "hard/canary.h"
#include "hard/exempt.h"
#include "hard/sample.h"
#include "os/os.h"
#include "os/say.h"

#define PUBLIC __attribute__((visibility("default")))

enum { TEXT_MOST = 16 << 10, JSON_MOST = 160 << 10 };

struct report_config report_config = {.fd = -1};

static struct {
    struct lock lock;
    _Atomic uint32_t reporter; /* thread that holds it */
    void (*_Atomic hook)(const struct fh_hardened_report *report);
    dev_t device; /* of report_config.fd, which a program may close or reuse */
    ino_t file;
    char path[256];
    char program[256];
    struct report report;
    char text[TEXT_MOST], json[JSON_MOST];
} state;

PUBLIC void fh_hardened_set_hook(void (*hook)(const struct fh_hardened_report *report))
{
    atomic_store(&state.hook, hook);
}

/* ---- what the heap knows -------------------------------------------------------------------------------------- */

static size_t slot_room(const struct slot *slot)
{
    if (slot->region->kind != REGION_LARGE) return slot->region->size;
    const struct large *large = (const struct large *)slot->word;
    return large->pages > large->start ? large->pages - large->start : large->size;
}

static void block_of_slot(const struct slot *slot, struct report_block *block)
{
    uint32_t word = LOAD(slot->word);
    block->start = hard_slot_start(slot);
    block->size = hard_slot_size(slot);
    block->room = slot_room(slot);
    block->canary = slot->region->kind == REGION_SMALL;
    block->state = hard_state(word);
    block->kind = hard_kind(word);
    block->thread = word >> WORD_THREAD_SHIFT & (WORD_THREADS - 1);
    block->told_alignment = block->state == SLOT_LIVE && (block->kind == KIND_NEW_ALIGNED ||
                                                          block->kind == KIND_NEW_ARRAY_ALIGNED);
}

static void block_of_sample(const struct sample_block *sample, struct report_block *block)
{
    uint32_t word = LOAD(&sample->word);
    block->start = sample->start;
    block->size = block->room = sample->size;
    block->state = hard_state(word);
    block->kind = hard_kind(word);
    block->sample = sample;
}

static void neighbours_gather(const struct slot *slot, struct report *r)
{
    struct slot next;
    if (slot->region->kind != REGION_SMALL) return;
    if (hard_slot_find((void *)(slot->start - 1), &next) && next.slab == slot->slab)
        block_of_slot(&next, &r->left);
    if (hard_slot_find((void *)(slot->start + slot->region->size), &next) &&
        next.slab == slot->slab)
        block_of_slot(&next, &r->right);
}

static void block_gather(struct report *r)
{
    const struct hard_fault *f = &r->fault;
    struct slot slot;
    const struct sample_block *sample = f->sample;
    if (!sample && !f->slot && sample_holds(f->address)) sample = sample_find(f->address);
    if (sample) {
        if (hard_state(LOAD(&sample->word)) != SLOT_NEVER) block_of_sample(sample, &r->block);
    } else if (f->slot) {
        block_of_slot(f->slot, &r->block);
        neighbours_gather(f->slot, r);
    } else if (hard_holds(f->address) && hard_slot_find(f->address, &slot) &&
               hard_slot_start(&slot) != 0) {
        block_of_slot(&slot, &r->block);
        neighbours_gather(&slot, r);
    }
}

/* ---- what was changed ------------------------------------------------------------------------------------------- */

static void changed_note(struct report *r, uintptr_t p)
{
    if (r->changed.count++ == 0) {
        r->changed.front = p < r->block.start;
        r->changed.first = r->changed.front ? r->block.start - p : p - r->block.start;
    }
    uintptr_t first =
        r->changed.front ? r->block.start - r->changed.first : r->block.start + r->changed.first;
    if (p - first < REPORT_CHANGED) {
        for (; r->changed.told < p - first; r->changed.told++)
            r->changed.bytes[r->changed.told] = *(const uint8_t *)(first + r->changed.told);
        r->changed.bytes[r->changed.told++] = *(const uint8_t *)p;
    }
}

/* Zero up to the canary, which ends the slot; `from` on, as far as it can be read. */
static void changed_gather_slot(struct report *r, uintptr_t from)
{
    uintptr_t end = r->block.start + r->block.room;
    if (end < from || os_vm_can_read((void *)from, end - from) < end - from) return;
    uint64_t canary = canary_of(end);
    for (uintptr_t p = from; p < end; p++) {
        size_t left = end - p;
        uint8_t right = r->block.canary && left <= HARD_CANARY
                            ? (uint8_t)(canary >> 8 * (HARD_CANARY - left))
                            : 0;
        if (*(const uint8_t *)p != right) changed_note(r, p);
    }
}

/* What a large block leaves of its first page. */
static void changed_gather_page(struct report *r)
{
    uintptr_t from = base_round_down(r->block.start, os_page_size());
    if (os_vm_can_read((void *)from, r->block.start - from) < r->block.start - from) return;
    for (uintptr_t p = from; p < r->block.start; p++)
        if (*(const uint8_t *)p) changed_note(r, p);
}

/* The canary in front of a slot: the left neighbour's. */
static void changed_gather_front(struct report *r)
{
    if (!r->block.canary) {
        changed_gather_page(r);
        return;
    }
    uintptr_t start = r->block.start, from = start - HARD_CANARY;
    uint64_t canary = canary_of(start);
    if (os_vm_can_read((void *)from, HARD_CANARY) < HARD_CANARY) return;
    for (unsigned i = 0; i < HARD_CANARY; i++)
        if (*(const uint8_t *)(from + i) != (uint8_t)(canary >> 8 * i)) changed_note(r, from + i);
}

static void changed_gather_sample(struct report *r, bool front)
{
    struct sample_damage damage = sample_damage(r->block.sample, front);
    if (damage.count == 0) return;
    changed_note(r, damage.first);
    r->changed.count = damage.count;
    for (; r->changed.told < base_min(damage.count, REPORT_CHANGED); r->changed.told++)
        r->changed.bytes[r->changed.told] = *(const uint8_t *)(damage.first + r->changed.told);
}

static void changed_gather(struct report *r)
{
    enum hard_what what = r->fault.what;
    bool behind = what == HARD_OVERFLOWED || what == HARD_NEIGHBOUR_OVERFLOWED;
    if (r->block.start == 0) return;
    if (r->block.sample) {
        if (behind || what == HARD_UNDERFLOWED) changed_gather_sample(r, !behind);
    } else if (what == HARD_UNDERFLOWED) {
        changed_gather_front(r);
    } else if (behind || what == HARD_WRITTEN_FREED) {
        changed_gather_slot(r, r->block.start + (behind ? r->block.size : 0));
    }
}

/* ---- what lies around --------------------------------------------------------------------------------------------- */

/* What the bytes are told around: the change, the address, or the block's end. */
static uintptr_t bytes_centre(const struct report *r)
{
    uintptr_t address = (uintptr_t)r->fault.address;
    if (r->changed.count)
        return r->changed.front ? r->block.start - r->changed.first
                                : r->block.start + r->changed.first;
    if (r->block.start == 0) return address;
    return r->fault.what == HARD_TOUCHED_BEHIND || r->fault.what == HARD_CHECKED
               ? r->block.start + r->block.size
               : r->block.start;
}

/* Canaries that are as they should be are nobody's business: with enough of them the key could be guessed. */
static void bytes_hide_canaries(struct report *r)
{
    enum { HIDDEN = 0xcc };
    for (unsigned i = 0; i + HARD_CANARY <= r->bytes_count; i += HARD_CANARY) {
        struct slot slot;
        uintptr_t at = r->bytes_at + i, end = at + HARD_CANARY;
        if (!hard_holds((void *)at) || !hard_slot_find((void *)at, &slot)) continue;
        uint64_t canary = canary_of(end);
        if (slot.region->kind == REGION_SMALL && slot.start + slot.region->size == end &&
            memcmp(r->bytes + i, &canary, sizeof canary) == 0)
            memset(r->bytes + i, HIDDEN, HARD_CANARY);
    }
}

/* Two lines before and two from there on, as far as there is memory; nothing of what is watched by the kernel. */
static void bytes_gather(struct report *r)
{
    enum { LINE = 16 };
    uintptr_t centre = base_round_down(bytes_centre(r), LINE);
    if (centre < REPORT_BYTES || r->fault.what == HARD_UNINITIALISED) return;
    uintptr_t at = centre - REPORT_BYTES / 2;
    while (at < centre && os_vm_can_read((void *)at, LINE) < LINE) at += LINE;
    size_t size = os_vm_can_read((void *)at, centre + REPORT_BYTES / 2 - at);
    if (size == 0 && at == centre) { /* a guard: what lies in front of it */
        at = centre - REPORT_BYTES / 2;
        size = os_vm_can_read((void *)at, REPORT_BYTES / 2);
    }
    r->bytes_at = at;
    r->bytes_count = (unsigned)size;
    memcpy(r->bytes, (void *)at, size);
    bytes_hide_canaries(r);
}

/* Frames in front of who made the call; 0 if it is not there. */
static unsigned frames_before(const struct report *r, uintptr_t caller)
{
    for (unsigned i = 0; i < r->here_count; i++)
        if (r->here[i] == caller) return i;
    return 0;
}

static void here_gather(struct report *r)
{
    if (r->fault.by_helper) return;
    uintptr_t pc = r->fault.context ? os_context_pc(r->fault.context) : 0;
    r->here_count =
        pc ? stack_take_from(pc, r->here, STACK_MOST) : stack_take(r->here, STACK_MOST, 0);
    if (pc && r->here_count == 0) { /* a stack that cannot be read: at least where */
        r->here[0] = pc;
        r->here_count = 1;
    }
    unsigned own = pc                ? 0
                   : r->fault.caller ? frames_before(r, r->fault.caller)
                                     : report_own_frames(r->here, r->here_count);
    r->here_count -= own;
    memmove(r->here, r->here + own, r->here_count * sizeof *r->here);
}

static void facts_begin(struct report *r, const struct hard_fault *fault)
{
    memset(r, 0, sizeof *r);
    r->fault = *fault;
    r->process = os_process_id();
    r->thread = os_thread_id();
    memcpy(r->program, state.program, sizeof r->program);
    here_gather(r);
}

static void facts_gather(struct report *r)
{
    block_gather(r);
    changed_gather(r);
    bytes_gather(r);
    struct text sentence = TEXT(r->sentence);
    report_sentence(r, &sentence);
    text_end(&sentence);
}

/* ---- out ------------------------------------------------------------------------------------------------------------ */

static int json_open(const char *path)
{
    enum { OUT_OF_THE_WAY = 100 };
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    long fd = SYS4(SYS_openat, AT_FDCWD, path, flags, 0600);
    if (base_syscall_failed(fd)) return -1;
    long moved = SYS3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
    if (base_syscall_failed(moved)) return (int)fd;
    SYS1(SYS_close, fd);
    return (int)moved;
}

static bool json_status(struct stat *status)
{
    return report_config.fd >= 0 && !base_syscall_failed(SYS2(SYS_fstat, report_config.fd, status));
}

/* Programs close what they do not know, and what they open then has its number, or a new file even that of the
 * old one's inode: so that is made sure of. */
static bool json_is_ours(void)
{
    struct stat now;
    long flags = SYS3(SYS_fcntl, report_config.fd, F_GETFL, 0), both = O_APPEND | O_NONBLOCK;
    return !base_syscall_failed(flags) && (flags & both) == both && json_status(&now) &&
           now.st_dev == state.device && now.st_ino == state.file;
}

static void json_write(const struct text *t)
{
    if (report_config.fd < 0) return;
    if (!json_is_ours()) report_config.fd = json_open(state.path);
    if (report_config.fd >= 0 && os_write(report_config.fd, t->at, t->length)) return;
    os_say("freehold", "the file of option report did not take all of this report");
}

static void hook_call(const struct report *r, bool goes_on, const struct text *text,
                      const struct text *json)
{
    void (*hook)(const struct fh_hardened_report *) = atomic_load(&state.hook);
    struct fh_hardened_report given = {.size = sizeof given,
                                       .what = report_words[r->fault.what],
                                       .sentence = r->sentence,
                                       .call = r->fault.call,
                                       .address = r->fault.address,
                                       .block = (void *)r->block.start,
                                       .block_size = r->block.size,
                                       .thread = r->thread,
                                       .stack_count = r->here_count,
                                       .stack = r->here,
                                       .text = text->at,
                                       .text_length = text->length,
                                       .json = json->at,
                                       .json_length = json->length};
    if (hook && !(r->fault.by_helper && goes_on)) hook(&given);
}

/* A misuse by the hook, or a fault of ours: there is nothing better to be done than to end. */
static _Noreturn void report_in_report(const struct hard_fault *fault)
{
    char line[160];
    struct text t = TEXT(line);
    text_str(&t, "freehold: ");
    text_str(&t, report_words[fault->what]);
    text_str(&t, " at ");
    text_hex(&t, (uintptr_t)fault->address);
    text_str(&t, " while a misuse of memory was being reported; stopping\n");
    os_write(2, line, t.length);
    base_abort();
}

/* Holds: the lock. */
static void report_make(void)
{
    bool goes_on = __atomic_load_n(&report_config.go_on, __ATOMIC_RELAXED);
    struct text text = {state.text, 0, sizeof state.text - 1},
                json = {state.json, 0, sizeof state.json - 1};
    facts_gather(&state.report);
    report_text(&state.report, goes_on, &text);
    report_json(&state.report, &json);
    report_symbols_close();
    state.text[text.length] = state.json[json.length] = 0;
    os_write(2, text.at, text.length);
    json_write(&json);
    hook_call(&state.report, goes_on, &text, &json);
    if (!goes_on) base_abort();
}

void hard_report(const struct hard_fault *fault)
{
    uint32_t thread = os_thread_id();
    if (LOAD(&state.reporter) == thread) report_in_report(fault);
    lock_take(&state.lock);
    STORE(&state.reporter, thread);
    facts_begin(&state.report, fault);
    if (!exempt_report(&state.report)) report_make();
    STORE(&state.reporter, 0);
    lock_give(&state.lock);
}

/* ---- start --------------------------------------------------------------------------------------------------------- */

bool report_start(const char *path)
{
    struct stat status;
    long n =
        SYS4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", state.program, sizeof state.program - 1);
    state.program[n > 0 ? n : 0] = 0;
    if (path == NULL || strlen(path) >= sizeof state.path) return path == NULL;
    memcpy(state.path, path, strlen(path) + 1);
    report_config.fd = json_open(path);
    if (!json_status(&status)) return false;
    state.device = status.st_dev;
    state.file = status.st_ino;
    return true;
}

char *report_program(void)
{
    return state.program;
}

/* The parent may have been reporting in another thread, which is not there. */
void report_fork_child(void)
{
    if (LOAD(&state.reporter) == 0) lock_reset(&state.lock);
}
