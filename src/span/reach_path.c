/*
 * From a root to one block: a mark breadth first with parents. See reach.h.
 */
#include "span/reach.h"

enum { LARGE = 64 << 10 };

bool reach_path_init(struct reach_path *p, struct reach *r, uint64_t target, bool interior)
{
    *p = (struct reach_path){.reach = r,
                             .target = target,
                             .interior = interior,
                             .bits = interior ? r->possible : r->marked};
    p->trace = r->reserve((r->live_count + 1) * sizeof *p->trace);
    return p->trace != NULL;
}

void reach_path_finish(struct reach_path *p)
{
    if (p->trace) p->reach->release(p->trace, (p->reach->live_count + 1) * sizeof *p->trace);
    p->trace = NULL;
}

static void note(struct reach_path *p, uint64_t word, uint64_t from, bool exact)
{
    struct reach *r = p->reach;
    struct reach_block block;
    if (p->found || word < r->low || word >= r->high || !reach_block_of(r, word, &block)) return;
    if (!exact && !p->interior && block.start != word) return;
    if (!reach_bit_set(p->bits, block.granule)) return;
    p->trace[p->count++] = (struct reach_trace){word, from};
    p->found = block.start == p->target;
}

void reach_path_root(struct reach_path *p, uint64_t word, uint64_t tag)
{
    note(p, word, tag, true);
    p->roots = p->count;
}

void reach_path_scan(struct reach_path *p, const unsigned char *bytes, size_t size,
                     uint64_t address)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
        uint64_t word;
        __builtin_memcpy(&word, bytes + at, sizeof word);
        note(p, word, address + at, false);
    }
    p->roots = p->count;
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* Stretches of a block, but for the absent ones of a large one. */
static bool next_stretch(const struct reach_path *p, const struct reach_block *block, uint64_t end,
                         uint64_t *from, uint64_t *to)
{
    *to = end;
    if (*from >= end) return false;
    return end - block->start < LARGE || !p->present || p->present(p->context, from, to);
}

static void scan_entry(struct reach_path *p, size_t index)
{
    struct reach_block block;
    if (!reach_block_of(p->reach, p->trace[index].word, &block)) return;
    uint64_t end = reach_block_end(p->reach, &block), from = block.start, to;
    for (; !p->found && next_stretch(p, &block, end, &from, &to); from = to) {
        const unsigned char *bytes = block.region->bytes + (from - block.region->start);
        for (uint64_t at = 0; at + sizeof(uint64_t) <= to - from; at += sizeof(uint64_t)) {
            uint64_t word;
            __builtin_memcpy(&word, bytes + at, sizeof word);
            note(p, word, index, false);
        }
    }
}

bool reach_path_search(struct reach_path *p)
{
    for (size_t i = 0; i < p->count && !p->found; i++) scan_entry(p, i);
    return p->found;
}

/* ---- the path ------------------------------------------------------------------------------- */

/* The last entry is the block that was searched for. */
size_t reach_path_length(const struct reach_path *p)
{
    size_t length = p->found, at = p->count - 1;
    for (; p->found && at >= p->roots; at = p->trace[at].from) length++;
    return length;
}

/* Where in a block a word stands first. */
static uint64_t position_of(const struct reach_path *p, const struct reach_block *block,
                            uint64_t wanted)
{
    uint64_t end = reach_block_end(p->reach, block), from = block->start, to;
    for (; next_stretch(p, block, end, &from, &to); from = to) {
        const unsigned char *bytes = block->region->bytes + (from - block->region->start);
        for (uint64_t at = 0; at + sizeof(uint64_t) <= to - from; at += sizeof(uint64_t)) {
            uint64_t word;
            __builtin_memcpy(&word, bytes + at, sizeof word);
            if (word == wanted) return from + at;
        }
    }
    return block->start;
}

static struct reach_step step_of(const struct reach_path *p, size_t index)
{
    const struct reach_trace *t = &p->trace[index];
    struct reach_block block, parent;
    struct reach_step step = {.from = t->from, .word = t->word};
    reach_block_of(p->reach, t->word, &block);
    step.start = block.start;
    step.size = reach_block_end(p->reach, &block) - block.start;
    if (index < p->roots) return step;
    reach_block_of(p->reach, p->trace[t->from].word, &parent);
    step.from = position_of(p, &parent, t->word);
    step.offset = step.from - parent.start;
    return step;
}

void reach_path_steps(const struct reach_path *p, struct reach_step *steps)
{
    size_t at = p->count - 1;
    for (size_t i = reach_path_length(p); i > 0; at = p->trace[at].from)
        steps[--i] = step_of(p, at);
}
