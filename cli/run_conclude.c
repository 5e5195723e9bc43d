/* From the slots of all processes to the one that the verdict is about. */
#include <string.h>
#include <sys/wait.h>

#include "process.h"
#include "run.h"

/* A child must have had this many times the memory of the program itself for the verdict to be about
 * the child: `gcc` and `make` do little, `redis-server` that forks to save does a lot. */
enum { CHILD_OUTWEIGHS = 4 };

uint64_t usage_free(const struct fh_usage *u)
{
    return u->free_in_slabs + u->thread_lists + u->remote + u->dirty + u->metadata;
}

uint64_t usage_total(const struct fh_usage *u)
{
    return u->live + usage_free(u);
}

/* Notes may have missed the most by a little: it is never less than another of their figures. */
uint64_t slot_peak_held(const struct fh_run_slot *slot)
{
    uint64_t peak = usage_total(&slot->peak), last = usage_total(&slot->last);
    uint64_t most = peak > last ? peak : last;
    return slot->peak_held > most ? slot->peak_held : most;
}

uint64_t slot_ms(const struct run *run, const struct fh_run_slot *slot)
{
    uint64_t ms = slot->updated_ms > slot->started_ms ? slot->updated_ms - slot->started_ms : 0;
    if (ms > run->child.elapsed_ms) ms = run->child.elapsed_ms;
    return ms ? ms : 1;
}

static bool larger(const struct fh_run_slot *a, const struct fh_run_slot *b)
{
    if (!b || a->peak.live != b->peak.live) return !b || a->peak.live > b->peak.live;
    return a->allocated > b->allocated;
}

/* One process has several slots if it executed one program after the other, or if the library is
 * linked into it as well: then the preloaded one has nothing to do. */
static void find_slots(struct run *run)
{
    const struct fh_run_slot *largest = NULL;
    for (size_t i = 0; i < run->slot_count; i++) {
        const struct fh_run_slot *slot = &run->slots[i];
        if (larger(slot, largest)) largest = slot;
        if (slot->pid == (uint32_t)run->child.pid && larger(slot, run->main)) run->main = slot;
    }
    bool outweighs =
        largest && (!run->main || largest->peak.live / CHILD_OUTWEIGHS > run->main->peak.live);
    run->subject = outweighs ? largest : run->main;
}

static const struct fh_run_slot *last_of_program(const struct run *run)
{
    const struct fh_run_slot *last = NULL;
    for (size_t i = 0; i < run->slot_count; i++) {
        const struct fh_run_slot *slot = &run->slots[i];
        if (slot->pid == (uint32_t)run->child.pid &&
            (!last || slot->started_ms >= last->started_ms))
            last = slot;
    }
    return last;
}

/* `env ./static-program` begins with a program that loads the library and ends as one that does
 * not. The kernel's name of the process has 15 characters. */
static bool was_replaced(const struct run *run)
{
    const struct fh_run_slot *last = last_of_program(run);
    return last && !last->finished && WIFEXITED(run->child.status) && run->child.name[0] &&
           strncmp(base_name(last->program), run->child.name, 15) != 0;
}

void run_conclude(struct run *run)
{
    find_slots(run);
    run->replaced = was_replaced(run);
    run->peak_rss = (uint64_t)run->child.usage.ru_maxrss * 1024;
}
