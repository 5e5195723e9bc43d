/*
 * From the figures of a run to the outcome of each promise.
 *
 * A promise that cannot be judged is not kept: it is unknown, with the reason, and fails the check in
 * its own way. What a figure proves depends on how the process ended: without exit() the figures are
 * the last that were noted, so that a count may have been higher; it can break a promise then, but not
 * keep it.
 */
#include <string.h>
#include <sys/wait.h>

#include "check.h"
#include "process.h"

const struct promise_form promise_forms[PROMISES] = {
    [PROMISE_PEAK] = {"peak", true, "held at the peak"},
    [PROMISE_PEAK_RSS] = {"peak-rss", true, "resident at the peak"},
    [PROMISE_END_RSS] = {"end-rss", true, "resident at the end"},
    [PROMISE_END_LIVE] = {"end-live", true, "not freed at the end"},
    [PROMISE_ALLOCS] = {"allocs", false, "allocations"},
    [PROMISE_LEAKS] = {"leaks", true, "lost at the end"},
};

static void promise_found(struct promise *p, uint64_t found)
{
    p->found = found;
    p->outcome = found > p->limit ? OUTCOME_BROKEN : OUTCOME_KEPT;
}

static void promise_unknown(struct promise *p, const char *why)
{
    p->outcome = OUTCOME_UNKNOWN;
    p->unknown = why;
}

/* What was found is the least that it can be: only a broken promise is sure. */
static void promise_least(struct promise *p, const char *why)
{
    if (p->outcome == OUTCOME_KEPT) promise_unknown(p, why);
}

static void promise_name(struct promise *p, const struct run *run, const struct fh_run_slot *slot)
{
    if (slot == run->main) return;
    snprintf(p->who, sizeof p->who, "%s (pid %u)", base_name(slot->program), slot->pid);
}

/* Why the figures of all processes may lack some; NULL if they do not. */
static const char *figures_lack(const struct run *run)
{
    if (run->slot_count == 0) return "the program did not run on Freehold";
    if (run->replaced) return "the process ended as another program, which told nothing";
    if (run->slots_claimed > FH_RUN_SLOTS) return "there were more processes than can be noted";
    return NULL;
}

static bool ended_early(const struct run *run)
{
    for (size_t i = 0; i < run->slot_count; i++) {
        if (!run->slots[i].finished) return true;
    }
    return false;
}

static const char not_finished[] = "a process did not end by exit(): it may have been more";

static void judge_peak(struct promise *p, const struct run *run)
{
    const struct fh_run_slot *most = NULL;
    bool noted = true;
    for (size_t i = 0; i < run->slot_count; i++) {
        const struct fh_run_slot *slot = &run->slots[i];
        noted &= slot->finished || slot->allocated > 0;
        if (!most || slot_peak_held(slot) > slot_peak_held(most)) most = slot;
    }
    if (!most) return promise_unknown(p, "no process noted any figures");
    promise_found(p, slot_peak_held(most));
    promise_name(p, run, most);
    if (!noted) promise_least(p, "a process ended without exit() and before it noted anything");
    const char *lack = figures_lack(run);
    if (lack) promise_least(p, lack);
}

static void judge_allocs(struct promise *p, const struct run *run)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < run->slot_count; i++) sum += run->slots[i].allocated;
    promise_found(p, sum);
    if (ended_early(run)) promise_least(p, not_finished);
    const char *lack = figures_lack(run);
    if (lack) promise_least(p, lack);
}

/* The program itself, if it lived to say what it left. */
static const struct fh_run_slot *orderly_end(struct promise *p, const struct run *run)
{
    if (run->replaced || !run->main || !run->main->finished) {
        promise_unknown(p, "the program did not end by exit(), and so did not say what it left");
        return NULL;
    }
    return run->main;
}

static void judge_end_live(struct promise *p, const struct run *run)
{
    const struct fh_run_slot *slot = orderly_end(p, run);
    if (slot) promise_found(p, slot->last.live);
}

/* Whoever frees everything leaks nothing, also if it could not be looked into. */
static void judge_leaks(struct promise *p, const struct run *run)
{
    const struct look *look = run->plan.look;
    const struct fh_run_slot *slot = orderly_end(p, run);
    if (!slot) return;
    if (!look_was_made(look) && slot->last.live > 0) return promise_unknown(p, look_why_not(look));
    promise_found(p, look_lost_bytes(look));
    uint64_t blocks = look_lost_blocks(look);
    if (blocks > 0)
        snprintf(p->note, sizeof p->note, " in %s block%s", HUMAN(exact, blocks),
                 blocks == 1 ? "" : "s");
}

static void judge_end_rss(struct promise *p, const struct check *check)
{
    if (check->end.now)
        promise_found(p, check->end.now);
    else if (!check->run.child.held)
        promise_unknown(p, "the program could not be held at its end: ptrace is refused here (in a "
                           "container: --cap-add SYS_PTRACE)");
    else
        promise_unknown(p, "the program was gone before it could be looked at");
}

static void judge(struct check *check, enum promise_kind kind)
{
    struct promise *p = &check->promises[kind];
    switch (kind) {
    case PROMISE_PEAK: return judge_peak(p, &check->run);
    case PROMISE_PEAK_RSS: return promise_found(p, check->run.peak_rss);
    case PROMISE_END_RSS: return judge_end_rss(p, check);
    case PROMISE_END_LIVE: return judge_end_live(p, &check->run);
    case PROMISE_ALLOCS: return judge_allocs(p, &check->run);
    case PROMISE_LEAKS: return judge_leaks(p, &check->run);
    case PROMISES: return;
    }
}

void check_judge(struct check *check)
{
    for (int kind = 0; kind < PROMISES; kind++) {
        struct promise *p = &check->promises[kind];
        if (!p->made) continue;
        judge(check, (enum promise_kind)kind);
        check->made++;
        check->broken += p->outcome == OUTCOME_BROKEN;
        check->unknown += p->outcome == OUTCOME_UNKNOWN;
    }
}

const char *check_failure(const struct check *check, char *text, size_t capacity)
{
    int status = check->run.child.status;
    if (WIFSIGNALED(status))
        snprintf(text, capacity, "was ended by signal %d, %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(text, capacity, "ended with status %d", WEXITSTATUS(status));
    else
        return NULL;
    return text;
}
