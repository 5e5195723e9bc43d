/*
 * What is resident, and whose it is: the heap page by page with the kernel's mincore, all else as /proc/self/smaps has
 * it. Both ask the kernel about mappings, so this comes behind what needs no such answer.
 *
 * Whose a mapping is, its name tells, or its form: anonymous memory right above an inaccessible guard is a thread's
 * stack. A process of very many mappings is not read to its end: what is left over is told as such.
 */
#include "base/lanes.h"
#include "face/oom.h"
#include "heap/slab.h"
#include "os/os.h"
#include "os/pressure.h"

enum {
    BUDGET_MS = 500, /* for all mappings */
    GUARD_MAX = 1 << 20,
    SMAPS_BUFFER = 16 << 10,
};

/* ---- words ------------------------------------------------------------------------------------------ */

struct cursor {
    const char *at, *end;
};

static bool scan_is(const struct cursor *cursor, const char *prefix)
{
    const char *at = cursor->at;
    while (*prefix && at < cursor->end && *at == *prefix) at++, prefix++;
    return *prefix == 0;
}

static void scan_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t')) cursor->at++;
}

static void scan_word(struct cursor *cursor)
{
    while (cursor->at < cursor->end && *cursor->at != ' ') cursor->at++;
    scan_blanks(cursor);
}

static uint64_t scan_number(struct cursor *cursor, unsigned base)
{
    uint64_t n = 0;
    for (; cursor->at < cursor->end; cursor->at++) {
        unsigned c = (unsigned char)*cursor->at, digit = c - '0';
        if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
        if (digit >= base) break;
        n = n * base + digit;
    }
    return n;
}

/* Behind "Name:", kB; in bytes. */
static uint64_t scan_kilobytes(struct cursor *cursor)
{
    scan_blanks(cursor);
    return scan_number(cursor, 10) * KIB;
}

/* ---- /proc/self/status ------------------------------------------------------------------------------ */

void oom_process_parse(struct oom_process *process, const char *text, size_t length)
{
    const struct {
        const char *name;
        uint64_t *value;
        uint64_t unit;
    } field[] = {
        {"VmRSS:", &process->resident, KIB}, {"RssAnon:", &process->anonymous, KIB},
        {"RssFile:", &process->file, KIB},   {"RssShmem:", &process->shared, KIB},
        {"VmSwap:", &process->swapped, KIB}, {"Threads:", &process->threads, 1},
    };
    *process = (struct oom_process){0};
    for (struct cursor cursor = {text, text + length}; cursor.at < cursor.end;) {
        for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
            if (!scan_is(&cursor, field[i].name)) continue;
            while (*cursor.at != ':') cursor.at++;
            cursor.at++;
            scan_blanks(&cursor);
            *field[i].value = scan_number(&cursor, 10) * field[i].unit;
        }
        while (cursor.at < cursor.end && *cursor.at != '\n') cursor.at++;
        if (cursor.at < cursor.end) cursor.at++;
    }
}

void oom_process(struct oom_process *process)
{
    static char text[4096];
    size_t have = 0;
    int fd = os_file_open("/proc/self/status");
    for (long n; fd >= 0 && have < sizeof text; have += (size_t)n)
        if ((n = os_file_read(fd, text + have, sizeof text - have)) <= 0) break;
    if (fd >= 0) os_file_close(fd);
    oom_process_parse(process, text, have);
}

/* ---- the heap, page by page ---------------------------------------------------------------------------- */

/* A window of the arena moves along with the walk: 16 MiB with pages of 4 KiB. */
static struct {
    uintptr_t start, end;
    unsigned char page[4096];
} window;

static uint64_t resident_part(uintptr_t from, uintptr_t to)
{
    size_t page = os_page_size(), count = 0;
    for (uintptr_t at = from; at < to; at += page)
        count += window.page[(at - window.start) / page] & 1;
    return count * page;
}

static bool window_move(uintptr_t at)
{
    uintptr_t start = base_round_down(at, os_page_size());
    size_t size = base_min(arena.base + arena.size - start, sizeof window.page * os_page_size());
    window.start = window.end = 0;
    if (!os_vm_resident((const void *)start, size, window.page)) return false;
    window.start = start;
    window.end = start + size;
    return true;
}

static uint64_t resident_of(const void *p, uint64_t size)
{
    uint64_t sum = 0;
    uintptr_t at = (uintptr_t)p, end = at + size;
    while (at < end) {
        if ((at < window.start || at >= window.end) && !window_move(at)) break;
        uintptr_t to = base_min(end, window.end);
        sum += resident_part(at, to);
        at = to;
    }
    return sum;
}

static uint64_t live_of(struct span *span, uint8_t kind)
{
    if (kind == FH_SPAN_LARGE) return LOAD(&span->bytes);
    if (kind == FH_SPAN_RUNS) return (64 - lanes_count(LOAD(&span->bytes))) << FH_GRANULE_SHIFT;
    uint64_t used = slab_used(span);
    return used * class_facts[span->size_class % CLASSES].size;
}

static uint32_t own_span(struct oom_ledger *ledger, struct span *span)
{
    uint8_t kind = LOAD_ACQUIRE(&span->kind);
    uint32_t slices = LOAD(&span->slices);
    bool single = kind == FH_SPAN_SLAB || kind == FH_SPAN_RUNS || kind == FH_SPAN_GC_BLOCK;
    bool known =
        single || kind == FH_SPAN_LARGE || kind == FH_SPAN_FREE || kind == FH_SPAN_GC_LARGE;
    if (single || !known) slices = 1;
    slices = (uint32_t)base_min(slices, arena.end - span_index(span));
    uint64_t bytes = resident_of(span_start(span), (uint64_t)slices << SLICE_SHIFT);
    if (kind == FH_SPAN_GC_BLOCK || kind == FH_SPAN_GC_LARGE) {
        ledger->owner[OWN_GC] += bytes;
    } else if (known && kind != FH_SPAN_FREE) {
        uint64_t live = base_min(live_of(span, kind), bytes);
        ledger->owner[OWN_LIVE] += live;
        ledger->owner[OWN_FREE] += bytes - live;
    } else {
        ledger->owner[OWN_SPANS] += bytes;
    }
    return slices;
}

static void own_lists(struct oom_ledger *ledger)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < heap_count(); i++) {
        uint64_t blocks[CLASSES];
        heap_listed(heap_at(i), blocks);
        for (unsigned c = 1; c < CLASSES; c++) bytes += blocks[c] * class_facts[c].size;
    }
    bytes = base_min(bytes, ledger->owner[OWN_LIVE]);
    ledger->owner[OWN_LIVE] -= bytes;
    ledger->owner[OWN_LISTS] += bytes;
}

static void own_heap(struct oom_ledger *ledger)
{
    uint32_t high = __atomic_load_n(&fh_registry.high, __ATOMIC_ACQUIRE);
    window.start = window.end = 0;
    ledger->owner[OWN_META] =
        resident_of((const void *)arena.base, (uint64_t)arena.first << SLICE_SHIFT);
    for (uint32_t index = arena.first; index < high;)
        index += (uint32_t)base_max(own_span(ledger, span_at(index)), 1);
    own_lists(ledger);
}

/* ---- /proc/self/smaps ----------------------------------------------------------------------------------- */

static enum oom_owner owner_by_name(const struct cursor *name)
{
    if (scan_is(name, "[heap]")) return OWN_BREAK;
    if (scan_is(name, "[stack]")) return OWN_STACK;
    if (scan_is(name, "[anon:freehold:gc")) return OWN_GC_TABLES;
    if (scan_is(name, "[anon")) return OWN_ANONYMOUS;
    if (scan_is(name, "/dev/shm/") || scan_is(name, "/memfd:") || scan_is(name, "/SYSV"))
        return OWN_SHARED;
    return scan_is(name, "[") ? OWN_KERNEL : OWN_FILES;
}

static void smaps_name(struct oom_smaps *at, const struct cursor *name)
{
    struct text t = TEXT(at->name);
    for (const char *c = name->at; c < name->end; c++)
        text_char(&t, (unsigned char)*c < ' ' || *c == 127 ? '?' : *c);
    text_end(&t);
}

/* "start-end perms offset dev inode   name" */
static void smaps_begin(struct oom_smaps *at, struct cursor cursor, uintptr_t start, uintptr_t end)
{
    struct cursor perms = cursor;
    bool none = scan_is(&perms, "---");
    bool runs = perms.at + 2 < perms.end && perms.at[2] == 'x';
    for (int i = 0; i < 4; i++) scan_word(&cursor);
    bool named = cursor.at < cursor.end;
    at->owner = named ? owner_by_name(&cursor) : OWN_ANONYMOUS;
    if (at->owner == OWN_FILES && runs) at->owner = OWN_CODE;
    if (!named && at->guard == start && scan_is(&perms, "rw-p")) at->owner = OWN_STACKS;
    at->guard = none && !named && end - start <= GUARD_MAX ? end : 0;
    at->start = start;
    at->end = end;
    smaps_name(at, &cursor);
}

bool oom_smaps_parse(struct oom_smaps *at, const char *line, size_t length, uint64_t *resident)
{
    struct cursor cursor = {line, line + length};
    if (scan_is(&cursor, "Rss:")) {
        cursor.at += 4;
        *resident = scan_kilobytes(&cursor);
        return true;
    }
    uintptr_t start = scan_number(&cursor, 16);
    if (cursor.at == line || cursor.at == cursor.end || *cursor.at != '-') return false;
    cursor.at++;
    uintptr_t end = scan_number(&cursor, 16);
    if (cursor.at == cursor.end || *cursor.at != ' ' || end <= start) return false;
    scan_blanks(&cursor);
    smaps_begin(at, cursor, start, end);
    return false;
}

static void mapping_note(struct oom_ledger *ledger, const struct oom_smaps *at, uint64_t bytes)
{
    unsigned place = OOM_MAPPINGS;
    while (place > 0 && ledger->mapping[place - 1].bytes < bytes) place--;
    if (place == OOM_MAPPINGS) return;
    for (unsigned i = OOM_MAPPINGS - 1; i > place; i--) ledger->mapping[i] = ledger->mapping[i - 1];
    ledger->mapping[place].bytes = bytes;
    struct text t = TEXT(ledger->mapping[place].name);
    text_str(&t, at->name[0] ? at->name : "anonymous");
    if (!at->name[0]) text_str(&t, at->owner == OWN_STACKS ? ", a thread's stack, " : " ");
    if (!at->name[0]) text_hex(&t, at->start);
    text_end(&t);
}

static void own_mapping(struct oom_ledger *ledger, const struct oom_smaps *at, uint64_t bytes)
{
    if (at->start - arena.base < arena.size) return; /* counted page by page */
    ledger->owner[at->owner] += bytes;
    mapping_note(ledger, at, bytes);
}

/* Whole lines of the buffer; what is left of it is moved to its front. */
static size_t smaps_take(struct oom_ledger *ledger, struct oom_smaps *at, char *buffer, size_t have)
{
    size_t start = 0;
    for (size_t i = 0; i < have; i++) {
        uint64_t resident;
        if (buffer[i] != '\n') continue;
        if (oom_smaps_parse(at, buffer + start, i - start, &resident))
            own_mapping(ledger, at, resident);
        start = i + 1;
    }
    for (size_t i = start; i < have; i++) buffer[i - start] = buffer[i];
    return have - start;
}

static void own_mappings(struct oom_ledger *ledger)
{
    static char buffer[SMAPS_BUFFER];
    struct oom_smaps at = {0};
    uint64_t end_ms = os_clock_ms() + BUDGET_MS;
    size_t have = 0;
    int fd = os_file_open("/proc/self/smaps");
    if (fd < 0) {
        ledger->cut = true;
        return;
    }
    for (long n; (n = os_file_read(fd, buffer + have, sizeof buffer - have)) > 0;) {
        have = smaps_take(ledger, &at, buffer, have + (size_t)n);
        if (have == sizeof buffer) have = 0; /* no line of the kernel's is that long */
        ledger->cut = os_clock_ms() > end_ms;
        if (ledger->cut) break;
    }
    os_file_close(fd);
}

void oom_ledger(struct oom_ledger *ledger)
{
    struct oom_process before, after;
    *ledger = (struct oom_ledger){0};
    oom_process(&before);
    own_heap(ledger);
    own_mappings(ledger);
    oom_process(&after);
    ledger->resident = before.resident / 2 + after.resident / 2;
    uint64_t sum = 0;
    for (int o = 0; o < OWNERS; o++) sum += ledger->owner[o];
    ledger->rest = (int64_t)(ledger->resident - sum);
}
