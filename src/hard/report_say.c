/* report: the sentence that says what was done. */
#include <string.h>

#include "hard/report.h"
#include "hard/sample.h"

#define HARD_FAULT_WORD(name, word) word,
const char *const report_words[HARD_WHATS] = {HARD_FAULTS(HARD_FAULT_WORD)};
#undef HARD_FAULT_WORD

const char *const report_kinds[8] = {"malloc",      "new",           "new[]",  "any call",
                                     "aligned new", "aligned new[]", "a zone", "any call"};

static const char *const makers[8] = {"malloc",      "new",           "new[]",    "an allocation",
                                      "aligned new", "aligned new[]", "any call", "any call"};
static const char *const enders[8] = {
    "free",           "delete",           "delete[]", "a call that frees",
    "aligned delete", "aligned delete[]", "any call", "any call"};

const char *report_state_word(const struct report_block *block)
{
    static const char *const words[] = {"never used", "live", "freed, in quarantine",
                                        "free",       "free", "freed for good"};
    if (block->sample && block->state == SLOT_FREE) return "freed";
    return block->state < sizeof words / sizeof *words ? words[block->state] : "damaged";
}

static void say_bytes(struct text *t, size_t n)
{
    text_dec(t, n);
    text_str(t, n == 1 ? " byte" : " bytes");
}

static bool is_freed(const struct report *r)
{
    return r->block.state != SLOT_LIVE && r->block.state != SLOT_NEVER;
}

static void say_block(const struct report *r, struct text *t)
{
    text_str(t, is_freed(r) ? "a freed block of " : "a block of ");
    say_bytes(t, r->block.size);
}

/* "3 bytes past the end of a block of 48 bytes" */
static void say_where(const struct report *r, struct text *t)
{
    uintptr_t at = (uintptr_t)r->fault.address, start = r->block.start, end = start + r->block.size;
    if (at < start) {
        say_bytes(t, start - at);
        text_str(t, " in front of ");
    } else if (at == start && at < end) {
        text_str(t, "at the start of ");
    } else if (at < end) {
        say_bytes(t, at - start);
        text_str(t, " into ");
    } else if (at == end) {
        text_str(t, "right behind ");
    } else {
        say_bytes(t, at - end);
        text_str(t, " past the end of ");
    }
    say_block(r, t);
}

static void say_access(const struct report *r, struct text *t)
{
    static const char *const words[] = {"access ", "read ", "write "};
    text_str(t, words[r->fault.access]);
    say_where(r, t);
}

/* Which memory `address` is, as far as no block starts there. */
static void say_no_block(const struct report *r, struct text *t)
{
    uintptr_t at = (uintptr_t)r->fault.address;
    if (r->block.start == 0 || r->block.state == SLOT_NEVER) {
        bool ours = hard_holds(r->fault.address) || sample_holds(r->fault.address);
        if (ours)
            text_str(t, "memory of freehold's in which no block was ever handed out");
        else
            report_place(at, t);
        return;
    }
    if (at == r->block.start)
        say_block(r, t);
    else
        say_where(r, t);
    text_str(t, ", not the start of a block");
}

static void say_changed(const struct report *r, struct text *t)
{
    size_t reach = r->changed.first + r->changed.count;
    bool front = r->changed.front;
    text_str(t, "write of at least ");
    if (r->fault.what == HARD_WRITTEN_FREED)
        say_bytes(t, base_max(r->changed.count, 1));
    else
        say_bytes(t,
                  front ? r->changed.first : base_max(reach - base_min(reach, r->block.size), 1));
}

static bool is_realloc(const char *call)
{
    return call && strncmp(call, "realloc", strlen("realloc")) == 0;
}

static void say_kind(const struct report *r, struct text *t)
{
    text_str(t, is_realloc(r->fault.call) ? r->fault.call : enders[r->fault.kind & WORD_KIND]);
    text_str(t, " of ");
    say_block(r, t);
    text_str(t, " that was made by ");
    text_str(t, makers[r->block.kind & WORD_KIND]);
    text_str(t, ", which wants ");
    text_str(t, enders[r->block.kind & WORD_KIND]);
}

static void say_mismatch(const struct report *r, const char *what, struct text *t)
{
    text_str(t, what);
    text_dec(t, r->fault.size);
    text_str(t, " said for ");
    say_block(r, t);
    bool aligned = r->fault.what == HARD_ALIGNMENT;
    if (aligned && r->fault.right == 0) { /* what was asked for is not known */
        text_str(t, " at an address that is a multiple of ");
        text_dec(t, (uintptr_t)r->fault.address & -(uintptr_t)r->fault.address);
        text_str(t, " only");
    } else if (aligned || r->fault.right != r->block.size) {
        text_str(t, " made with ");
        text_dec(t, r->fault.right);
    }
}

/* "would write 16 bytes past the end of a block of 48 bytes (52 bytes, from byte 12 on)" */
static void say_beyond(const struct report *r, struct text *t)
{
    const struct hard_fault *f = &r->fault;
    uintptr_t into = (uintptr_t)f->address - r->block.start;
    bool on = f->size == SIZE_MAX;
    if (on)
        text_str(t, "on");
    else
        say_bytes(t, f->size - f->right);
    text_str(t, " past the end of ");
    say_block(r, t);
    text_str(t, " (");
    if (!on) say_bytes(t, f->size);
    text_str(t, on ? "from " : ", from ");
    text_str(t, into ? "byte " : "its start");
    if (into) text_dec(t, into);
    text_str(t, " on)");
}

/* Of a freed block, in front of one, behind one, or none: "would write 16 bytes, at the start of a freed ..." */
static void say_checked(const struct report *r, struct text *t)
{
    static const char *const words[] = {"would reach ", "would read ", "would write "};
    const struct hard_fault *f = &r->fault;
    text_str(t, words[f->access]);
    if (f->right && r->block.start) return say_beyond(r, t);
    bool none = r->block.start == 0 || r->block.state == SLOT_NEVER;
    if (f->size != SIZE_MAX)
        say_bytes(t, f->size);
    else
        text_str(t, "on");
    text_str(t, none ? " in " : ", ");
    none ? say_no_block(r, t) : say_where(r, t);
}

static void say_past(const struct report *r, const char *after, struct text *t)
{
    say_changed(r, t);
    text_str(t, after);
    say_block(r, t);
}

/* In front of a slot is its neighbour's end: either block may have been left. */
static void say_underflowed(const struct report *r, struct text *t)
{
    say_past(r, " in front of ", t);
    if (r->left.start == 0) return;
    text_str(t, ", or past the end of the one before it, of ");
    say_bytes(t, r->left.size);
}

static void say_zone(const struct report *r, struct text *t)
{
    static const char *const rules[] = {"a private zone",
                                        "no zone, or a destroyed one",
                                        "a sealed zone",
                                        "a zone of another core's",
                                        "a block that is not of this zone",
                                        "a pointer without the right tag"};
    text_str(t, rules[r->fault.right < sizeof rules / sizeof *rules ? r->fault.right : 0]);
    if (r->block.start == 0) return;
    text_str(t, ": ");
    say_where(r, t);
}

static void say_rest(const struct report *r, struct text *t)
{
    switch (r->fault.what) {
    case HARD_TOUCHED_NONE: text_str(t, "access to memory of freehold's that is no block"); break;
    case HARD_UNINITIALISED:
        text_str(t, "read of memory that nothing was written to yet, ");
        say_where(r, t);
        break;
    case HARD_NO_ENTROPY:
        text_str(t, "the kernel has no random numbers, without which nothing is safe");
        break;
    case HARD_METADATA: text_str(t, "freehold's own records are damaged, or were touched"); break;
    case HARD_NO_MEMORY:
        text_str(t, "no memory for ");
        say_bytes(t, r->fault.size);
        break;
    case HARD_ZONE: say_zone(r, t); break;
    default: text_str(t, "misuse of memory"); break;
    }
}

void report_sentence(const struct report *r, struct text *t)
{
    switch (r->fault.what) {
    case HARD_DOUBLE_FREE:
        text_str(t, "double free of a block of ");
        say_bytes(t, r->block.size);
        break;
    case HARD_NOT_A_BLOCK: say_no_block(r, t); break;
    case HARD_USE_FREED: r->fault.size ? say_checked(r, t) : say_block(r, t); break;
    case HARD_KIND: say_kind(r, t); break;
    case HARD_SIZE: say_mismatch(r, "size ", t); break;
    case HARD_ALIGNMENT: say_mismatch(r, "alignment ", t); break;
    case HARD_OVERFLOWED: say_past(r, " past the end of ", t); break;
    case HARD_NEIGHBOUR_OVERFLOWED: say_past(r, " past the end of the left neighbour, ", t); break;
    case HARD_UNDERFLOWED: say_underflowed(r, t); break;
    case HARD_WRITTEN_FREED: say_past(r, " after free, into ", t); break;
    case HARD_CHECKED: say_checked(r, t); break;
    case HARD_TOUCHED_FREED:
    case HARD_TOUCHED_BEHIND:
    case HARD_TOUCHED_FRONT: say_access(r, t); break;
    default: say_rest(r, t); break;
    }
}
