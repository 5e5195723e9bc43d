/*
 * Children of the program, each searched when it comes to its end: `run --leaks-children`.
 *
 * A child waits in its slot, whose process id is what the child wrote there: only a descendant of ours is
 * stopped for it. What is kept of each is a verdict and, if it lost something, its report: a build has hundreds
 * of them, and the copy of one at a time is enough. Those that could not ask are told too, at the end, from what
 * their slots say: a child that was not searched is none that lost nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fields.h"
#include "look_inside.h"

enum { GENERATIONS_MAX = 1000, MISSED_SHOWN = 20, BLOCKS_KEPT = 1 << 16 };

/* 0: it is gone. */
static pid_t parent_of(pid_t pid)
{
    return (pid_t)status_number(pid, "PPid");
}

static bool is_descendant(pid_t pid)
{
    for (int i = 0; i < GENERATIONS_MAX && pid > 0; i++) {
        pid = parent_of(pid);
        if (pid == getpid()) return true;
    }
    return false;
}

static void keep_report(struct look_child *c, const struct look *found)
{
    size_t size;
    struct palette colours = palette_for(STDERR_FILENO);
    FILE *out = open_memstream(&c->report, &size);
    if (!out) return;
    leaks_show(&found->leaks, out, &colours);
    fclose(out);
}

static void keep_block(void *context, uint64_t start, uint64_t size, enum reach_kind kind)
{
    struct look_child *c = context;
    (void)kind;
    if (c->lost_count == c->lost_capacity) {
        size_t more = c->lost_capacity ? c->lost_capacity * 2 : 256;
        struct look_block *grown =
            more > BLOCKS_KEPT ? NULL : realloc(c->lost, more * sizeof *grown);
        if (!grown) return;
        c->lost = grown;
        c->lost_capacity = more;
    }
    c->lost[c->lost_count++] = (struct look_block){start, size};
}

static void keep(struct look_child *c, const struct look *found)
{
    if (found->leaks.name[0]) memcpy(c->name, found->leaks.name, sizeof c->name);
    if (found->state != LOOK_MADE) {
        snprintf(c->why, sizeof c->why, "%s", found->why);
        return;
    }
    c->why[0] = 0;
    leaks_verdict(&found->leaks, c->verdict, sizeof c->verdict);
    c->lost_blocks = look_lost_blocks(found);
    c->lost_bytes = look_lost_bytes(found);
    if (c->lost_blocks == 0) return;
    keep_report(c, found);
    reach_each(&found->leaks.survey.reach, 1u << REACH_LOST | 1u << REACH_INDIRECT, keep_block, c);
}

static void search(struct look_child *c, const struct look *l, struct fh_run_slot *slot)
{
    struct look *own = NULL;
    bool ready = look_create(&own, &l->request) == 0;
    c->pid = (pid_t)slot->pid;
    snprintf(c->name, sizeof c->name, "a child");
    snprintf(c->why, sizeof c->why, "there was no memory for it");
    if (ready) {
        own->asking = slot;
        own->leaks.request.pid = c->pid;
        if (is_descendant(c->pid))
            look_picture(own);
        else
            snprintf(own->why, sizeof own->why, "%s",
                     parent_of(c->pid) ? "it is no descendant of the program any more"
                                       : "it did not wait at its end");
        look_let_go(own);
        look_find(own);
        keep(c, own);
    }
    look_finish(own);
}

void look_children(struct look *l)
{
    struct fh_run_slot *slot;
    while (l->request.children && (slot = look_asking(l, false))) {
        struct look_child *grown = realloc(l->children, (l->child_count + 1) * sizeof *grown);
        if (!grown) return; /* they go on when this command has ended */
        l->children = grown;
        grown[l->child_count] = (struct look_child){0};
        search(&grown[l->child_count++], l, slot);
        __atomic_store_n(&slot->look, FH_LOOK_GO_ON, __ATOMIC_RELEASE);
    }
}

/* ---- those that did not come ----------------------------------------------------------------- */

static bool was_searched(const struct look *l, uint32_t pid)
{
    for (size_t i = 0; i < l->child_count; i++) {
        if ((uint32_t)l->children[i].pid == pid) return true;
    }
    return false;
}

/* What one program of a process left may be the beginning of the next: the last slot is about its end. One of
 * which another copy of the library has seen the end has come to it. */
static bool is_last(const struct fh_run_slot *slots, size_t count, size_t i)
{
    for (size_t j = 0; j < count; j++) {
        if (slots[j].pid != slots[i].pid || j == i) continue;
        if (j > i || !look_slot_why(&slots[j])) return false;
    }
    return true;
}

static void add_missed(struct look *l, const struct fh_run_slot *slot, const char *why)
{
    struct look_child *grown = realloc(l->children, (l->child_count + 1) * sizeof *grown);
    if (!grown) return;
    l->children = grown;
    struct look_child *c = &grown[l->child_count++];
    *c = (struct look_child){.pid = (pid_t)slot->pid};
    snprintf(c->name, sizeof c->name, "%s", slot->program);
    if (!slot->finished && status_number(c->pid, "VmSize") > 0)
        why = "it outlived the program, and is not waited for";
    snprintf(c->why, sizeof c->why, "%s", why);
}

/* A child of a fork has the program's blocks where the program has them, and what was lost by then twice. Another
 * program has its heap elsewhere. */
static void find_inherited(const struct look *l, struct look_child *c)
{
    const struct reach *r = &l->leaks.survey.reach;
    for (size_t i = 0; i < c->lost_count; i++) {
        uint64_t start, size, address = c->lost[i].start;
        if (!reach_find(r, address, &start, &size) || start != address || size != c->lost[i].size ||
            reach_is_known(r, start))
            continue;
        enum reach_kind kind = reach_kind_of(r, start);
        if (kind != REACH_LOST && kind != REACH_INDIRECT) continue;
        c->inherited_blocks++;
        c->inherited_bytes += size;
    }
}

void look_children_conclude(struct look *l, const struct fh_run_slot *slots, size_t count)
{
    for (size_t i = 0; i < l->child_count && l->state == LOOK_MADE && l->process.pid; i++)
        find_inherited(l, &l->children[i]);
    for (size_t i = 0; i < count; i++) {
        const char *why = look_slot_why(&slots[i]);
        if (!why || !slots[i].stands || slots[i].pid == (uint32_t)l->leaks.request.pid) continue;
        if (is_last(slots, count, i) && !was_searched(l, slots[i].pid))
            add_missed(l, &slots[i], why);
    }
}

bool look_child_missed(const struct look *l)
{
    for (size_t i = 0; i < l->child_count; i++) {
        if (l->children[i].why[0]) return true;
    }
    return false;
}

/* ---- what became of them -------------------------------------------------------------------- */

bool look_child_leaks(const struct look *l)
{
    for (size_t i = 0; i < l->child_count; i++) {
        if (l->children[i].lost_blocks > 0) return true;
    }
    return false;
}

/* A shell ends a hundred times by _exit. */
static bool show_missed(const struct look_child *c, FILE *out, const struct palette *colours,
                        size_t missed)
{
    if (missed <= MISSED_SHOWN)
        fprintf(out, "%sfreehold: %s (pid %d) was not searched for leaks: %s%s\n", colours->warn,
                c->name, (int)c->pid, c->why, colours->plain);
    return missed > MISSED_SHOWN;
}

static void show_losses(const struct look_child *c, FILE *out)
{
    fputs(c->report, out);
    if (c->inherited_blocks)
        fprintf(
            out,
            "freehold: of these, %s%s block%s, %s, were lost before the fork: the program has lost "
            "them too\n",
            c->lost_count == BLOCKS_KEPT ? "at least " : "", HUMAN(exact, c->inherited_blocks),
            c->inherited_blocks == 1 ? "" : "s", HUMAN(bytes, c->inherited_bytes));
}

void look_children_show(const struct look *l, FILE *out, const struct palette *colours, bool quiet)
{
    size_t missed = 0, left = 0;
    for (size_t i = 0; i < l->child_count; i++) {
        const struct look_child *c = &l->children[i];
        if (c->report)
            show_losses(c, out);
        else if (c->why[0])
            left += show_missed(c, out, colours, ++missed);
        else if (!quiet)
            fprintf(out, "freehold: at the end of %s (pid %d): %s\n", c->name, (int)c->pid,
                    c->verdict);
    }
    if (left)
        fprintf(out, "%sfreehold: %s more children were not searched for leaks: --json has all%s\n",
                colours->warn, HUMAN(exact, left), colours->plain);
}

void look_children_json(const struct look *l, struct json *j)
{
    json_open(j, "leaks_of_children", '[');
    for (size_t i = 0; i < l->child_count; i++) {
        const struct look_child *c = &l->children[i];
        json_open(j, NULL, '{');
        json_number(j, "pid", (uint64_t)c->pid);
        json_text(j, "name", c->name);
        json_text(j, "verdict", c->why[0] ? NULL : c->verdict);
        json_text(j, "why_not", c->why[0] ? c->why : NULL);
        json_number(j, "lost_blocks", c->lost_blocks);
        json_number(j, "lost_bytes", c->lost_bytes);
        json_number(j, "lost_before_fork_blocks", c->inherited_blocks);
        json_number(j, "lost_before_fork_bytes", c->inherited_bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
}

void look_children_finish(struct look *l)
{
    for (size_t i = 0; i < l->child_count; i++) {
        free(l->children[i].report);
        free(l->children[i].lost);
    }
    free(l->children);
}
