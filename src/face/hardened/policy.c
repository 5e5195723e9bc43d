/* policy.h over hard/, and the levels. */
#include <string.h>

#include "face/face.h"
#include "face/hardened/hardened.h"
#include "face/oom.h"
#include "face/plug.h"
#include "hard/central.h"
#include "hard/exempt.h"
#include "hard/fault.h"
#include "hard/large.h"
#include "hard/registry.h"
#include "hard/report.h"
#include "hard/reuse.h"
#include "hard/sample.h"
#include "hard/stale.h"
#include "hard/sample_watch.h"
#include "hard/usage.h"
#include "hard/verify.h"
#include "hard/zone.h"
#include "os/os.h"
#include "os/say.h"
#include "span/purger.h"

/* ---- levels ----------------------------------------------------------------------------------------- */

static const struct measures levels[] = {
    {.level = 0, .buckets = 1, .sample_slots = 1024, .kinds = true},
    {.level = 1,
     .canary = true,
     .kinds = true,
     .chance = true,
     .buckets = 3,
     .zero_most = HARD_SMALL_MOST,
     .check_most = 256,
     .quarantine = 256 << 10,
     .sample = 5000,
     .sample_slots = 1024},
    {.level = 2,
     .canary = true,
     .kinds = true,
     .chance = true,
     .reuse = true,
     .buckets = 3,
     .zero_most = HARD_SMALL_MOST,
     .check_most = HARD_SMALL_MOST,
     .quarantine = 256 << 10,
     .sample = 5000,
     .sample_slots = 1024},
};

static uint32_t chosen(int64_t option, uint32_t of_level)
{
    return option < 0 ? of_level : (uint32_t)option;
}

/* Canaries stand on memory that is clear: what is not cleared is not looked at either. */
static struct measures measures_chosen(void)
{
    struct measures m = levels[options.harden];
    m.canary = chosen(options.canary, m.canary);
    m.zero_most = chosen(options.zero, m.zero_most);
    m.check_most = (uint32_t)base_min(chosen(options.check, m.check_most), m.zero_most);
    if (!m.canary) m.check_most = 0;
    m.quarantine = chosen(options.quarantine, m.quarantine);
    m.kinds = chosen(options.kinds, m.kinds);
    m.buckets = chosen(options.buckets, m.buckets);
    m.sample = chosen(options.sample, m.sample);
    m.sample_slots = chosen(options.sample_slots, m.sample_slots);
    m.reuse = chosen(options.sweep, m.reuse);
    m.poison = options.poison;
    m.verify_every = (uint32_t)options.verify_every;
    return m;
}

/* ---- start ------------------------------------------------------------------------------------------ */

static void attached(struct hard_thread *thread)
{
    face_thread_attached(thread);
}

/* By the level it goes along with the purger; asked for, the helper is there for it. */
static void verify_begin(const struct measures *measures)
{
    enum { OF_LEVEL_MS = 1000 };
    bool of_level = options.verify_ms < 0;
    if (!measures->canary) return;
    purger.look = verify_round;
    purger.look_ms = of_level ? (measures->level ? OF_LEVEL_MS : 0) : (uint64_t)options.verify_ms;
    verify_stays = !of_level && purger.look_ms;
}

/* A class has several regions, which do not lend each other room.
 *
 * Tools of valgrind with a malloc of their own keep a record for each 64 KiB of what is reserved, which takes all
 * memory of the machine, and our heap serves nobody there. They tell programs by what they preload. */
static size_t space_wanted(void)
{
    enum { REGIONS_SPREAD = 4 };
    const char *preload = os_environment("LD_PRELOAD"), *tool = NULL;
    for (const char *at = preload; at && (at = strstr(at, "vgpreload_")) != NULL; at++)
        if (strncmp(at, "vgpreload_core", strlen("vgpreload_core")) != 0) tool = at;
    return tool ? (size_t)1 << 30 : REGIONS_SPREAD * (size_t)options.reserve;
}

bool policy_start(void)
{
    static const char missing[] = "is not in the hardened library";
    struct measures measures = measures_chosen();
    if (!space_start(&measures, space_wanted()) || !central_start()) return false;
    hard_attached = attached;
    zone_start(options.names);
    if (!report_start(options.report ? options.report_path : NULL))
        options_refuse("report", options.report_path,
                       "cannot be opened for writing; reports go to standard error only");
    if (options.exempt) exempt_start(options.exempt_path, options_refuse_exempt);
    stack_start();
    sample_start((unsigned)options.uninit);
    fault_start();
    if (measures.reuse) reuse_start();
    if (options.oom) options_refuse("oom", options.oom_path, missing);
    if (options.plug) options_refuse("plug", "1", missing);
    hard_registry_start();
    space_seal();
    verify_begin(&measures);
    calls_offer((int)chosen(options.calls, (uint32_t)levels[options.harden].level));
    return true;
}

void policy_options(void)
{
    report_config.go_on = options.bad_free;
}

/* The arena is for the collector's heaps here; under RLIMIT_AS blocks need the rest. */
size_t policy_reserve(size_t wanted)
{
    size_t left = os_vm_address_space_left();
    return left == SIZE_MAX ? wanted : base_min(wanted, left / 8);
}

static void (*tick)(void);

void policy_set_tick(void (*function)(void))
{
    tick = function;
}

void hardened_tick(void)
{
    if (UNLIKELY(tick != NULL)) tick();
}

void policy_thread_end(void *heap)
{
    hard_thread_end(heap);
}

bool policy_has_heap(void)
{
    return hard_self != &hard_none;
}

/* ---- fork: threads, regions, large blocks' among them, chunks ------------------------------------------ */

void policy_fork_prepare(void)
{
    reuse_fork_prepare();
    sample_fork_prepare();
    hard_thread_fork_prepare();
    zone_fork_prepare();
    central_fork_prepare();
    space_fork_prepare();
}

void policy_fork_parent(void)
{
    space_fork_parent();
    central_fork_parent();
    zone_fork_parent();
    hard_thread_fork_parent();
    sample_fork_parent();
    reuse_fork_parent();
}

void policy_fork_child(void)
{
    space_fork_child();
    central_fork_child();
    zone_fork_child();
    stale_fork_child();
    hard_thread_fork_child();
    sample_fork_child();
    reuse_fork_child();
    report_fork_child();
    fault_fork_child();
}

void policy_confined(void)
{
    report_config.confined = true;
    sample_watch_stop();
    reuse_end(fh_registry.pid == os_process_id());
}

bool policy_sweep(bool force)
{
    bool slabs = central_sweep(force);
    return large_sweep(force) || slabs;
}

/* ---- facts ---------------------------------------------------------------------------------------------- */

uint32_t policy_heaps(void)
{
    return hard_thread_count();
}

void policy_usage(struct fh_usage *usage)
{
    hard_usage(usage);
}

/* Level strict, or sweep=1. */
static void stats_sweeps(void (*line)(int fd, const struct stats_line *line), int fd)
{
    struct reuse_stats sweeps;
    char number[24], kept[100], pause[24];
    reuse_stats_get(&sweeps);
    struct text n = TEXT(number), k = TEXT(kept), p = TEXT(pause);
    text_dec(&n, sweeps.sweeps);
    text_end(&n);
    text_str(&k, "in ");
    text_dec(&k, sweeps.kept);
    text_str(&k, " blocks, since the last sweep found words that point there");
    text_end(&k);
    text_dec(&p, sweeps.pause_ns_most / 1000);
    text_str(&p, " us");
    text_end(&p);
    const struct stats_line say[] = {
        {"awaiting a sweep", NULL, sweeps.pending_bytes,
         "free in slabs, but reused only when no word points there"},
        {"  of it kept", NULL, sweeps.kept_bytes, kept},
        {"sweeps", number, 0, "so far"},
        {"longest pause", pause, 0, "of all threads, for a sweep"},
    };
    for (size_t i = 0; i < sizeof say / sizeof *say; i++) line(fd, &say[i]);
}

static void stats_samples(void (*line)(int fd, const struct stats_line *line), int fd)
{
    size_t live, open;
    char number[24], why[80];
    struct text n = TEXT(number), w = TEXT(why);
    sample_count(&live, &open);
    text_dec(&n, live);
    text_end(&n);
    text_str(&w, "blocks on pages of their own, for which there are ");
    text_dec(&w, open);
    text_str(&w, " slots");
    text_end(&w);
    line(fd, &(struct stats_line){.what = "samples in use", .value = number, .why = why});
}

void policy_stats(const struct fh_usage *usage, void (*line)(int fd, const struct stats_line *line),
                  int fd)
{
    static const char *const names[] = {"light", "standard", "strict"};
    const struct stats_line say[] = {
        {"level", names[hard.measures.level], 0, "of hardening, but for measures chosen singly"},
        {"in quarantine", NULL, usage->remote, "freed, in queues of threads"},
    };
    for (size_t i = 0; i < sizeof say / sizeof *say; i++) line(fd, &say[i]);
    if (hard.measures.reuse) stats_sweeps(line, fd);
    if (sample_region.size) stats_samples(line, fd);
}

uint32_t policy_class_size(unsigned size_class)
{
    return hard.region[size_class * HARD_BUCKETS].size;
}

void policy_class_sizes(uint32_t sizes[FH_CLASSES])
{
    for (unsigned c = 0; c < FH_CLASSES; c++)
        sizes[c] = 0; /* those of slabs that this library has not */
}

void policy_allocated(uint64_t blocks[POLICY_CLASSES])
{
    for (unsigned c = 0; c < POLICY_CLASSES; c++) blocks[c] = 0;
    for (struct hard_thread *t = hard_threads; t; t = t->next)
        for (unsigned c = 0; c < POLICY_CLASSES; c++)
            blocks[c] += __atomic_load_n(&t->allocated[c], __ATOMIC_RELAXED);
}

static bool describe_sampled(const char *p, struct fh_description *d)
{
    const struct sample_block *block = sample_find(p);
    *d = (struct fh_description){.kind = FH_RESERVED};
    if (block == NULL) return true;
    d->start = (const void *)block->start;
    d->size = block->size;
    d->offset = (uintptr_t)p - block->start;
    d->thread = block->made.thread;
    bool live = hard_state(LOAD((slot_word *)&block->word)) == SLOT_LIVE;
    d->kind = !live ? FH_BLOCK_FREE : d->offset && d->offset >= d->size ? FH_SLACK : FH_BLOCK;
    return true;
}

bool policy_describe(struct span *span, const char *p, struct fh_description *d)
{
    struct slot slot;
    if (span) return false;
    if (sample_holds(p)) return describe_sampled(p, d);
    if (!hard_holds(p)) return false;
    *d = (struct fh_description){.kind = FH_RESERVED};
    if (!hard_slot_find(p, &slot)) return true;
    unsigned state = hard_state(LOAD(slot.word));
    d->start = (const void *)slot.start;
    d->size =
        state == SLOT_LIVE || slot.region->size == 0 ? hard_slot_size(&slot) : slot.region->size;
    d->offset = (uintptr_t)p - slot.start;
    d->thread = LOAD(slot.word) >> WORD_THREAD_SHIFT & (WORD_THREADS - 1);
    bool large = slot.region->kind == REGION_LARGE;
    d->kind = state != SLOT_LIVE                  ? FH_BLOCK_FREE
              : d->offset && d->offset >= d->size ? FH_SLACK
              : large                             ? FH_LARGE
                                                  : FH_BLOCK;
    return true;
}

/* ---- not in this library ------------------------------------------------------------------------------------ */

void oom_start(void) {}

void oom_stop(void) {}

void oom_fork_child(void) {}

void plug_start(void) {}

void plug_tick(void) {}

void plug_fork_child(void) {}
