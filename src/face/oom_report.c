/*
 * The text of a report. Every part begins with a line that says whose it is, since processes that fork share the
 * file, and is written by one call, so that parts stay whole. Numbers first in bytes, that a script can add them up,
 * then for people.
 */
#include "face/oom.h"
#include "os/os.h"
#include "os/pressure.h"

char oom_name[32];

enum { TOP_GROUPS = 16 };

/* ---- columns -------------------------------------------------------------------------------------- */

static void pad_to(struct text *t, size_t start, size_t column)
{
    while (t->length < start + column && t->length < t->capacity) text_char(t, ' ');
}

static void put_right(struct text *t, size_t width, const struct text *what)
{
    for (size_t i = what->length; i < width; i++) text_char(t, ' ');
    text_strn(t, what->at, what->length);
}

static void put_dec(struct text *t, size_t width, uint64_t n)
{
    char digits[24];
    struct text number = TEXT(digits);
    text_dec(&number, n);
    put_right(t, width, &number);
}

/* "  315834368  301.2 MiB" */
static void put_bytes(struct text *t, uint64_t bytes)
{
    char digits[24];
    struct text number = TEXT(digits);
    put_dec(t, 16, bytes);
    text_size(&number, bytes);
    put_right(t, 11, &number);
}

static void put_row(struct text *t, const char *what, uint64_t bytes, const char *why)
{
    size_t start = t->length;
    text_str(t, "  ");
    text_str(t, what);
    pad_to(t, start, 18);
    put_bytes(t, bytes);
    text_str(t, "  ");
    text_str(t, why);
    text_char(t, '\n');
}

static void put_two(struct text *t, uint64_t n)
{
    if (n < 10) text_char(t, '0');
    text_dec(t, n);
}

/* Days to a date: Richards 1972, by way of years that begin in March. */
void oom_print_date(struct text *t, uint64_t seconds)
{
    uint64_t days = seconds / 86400 + 719468, rest = seconds % 86400;
    uint64_t era = days / 146097, day = days % 146097;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    uint64_t month = (5 * day + 2) / 153;
    text_dec(t, year + era * 400 + (month >= 10));
    text_char(t, '-');
    put_two(t, month < 10 ? month + 3 : month - 9);
    text_char(t, '-');
    put_two(t, day - (153 * month + 2) / 5 + 1);
    text_char(t, ' ');
    put_two(t, rest / 3600);
    text_char(t, ':');
    put_two(t, rest / 60 % 60);
    text_char(t, ':');
    put_two(t, rest % 60);
    text_str(t, " UTC");
}

static void put_head(struct text *t, uint32_t number, const char *what)
{
    text_str(t, OOM_MAGIC);
    text_dec(t, os_process_id());
    text_str(t, " (");
    text_str(t, oom_name);
    text_str(t, "), report ");
    text_dec(t, number);
    text_str(t, what);
}

/* ---- the groups -------------------------------------------------------------------------------------- */

static const char *const cause_name[OOM_CAUSES] = {
    [OOM_LIMIT] = "option limit",
    [OOM_MAX] = "the control group's limit",
    [OOM_HIGH] = "the control group's memory.high",
    [OOM_STALL] = "stall",
};

static void put_reason(struct text *t, const struct oom_reason *reason)
{
    text_str(t, "  why         ");
    text_str(t, cause_name[reason->cause]);
    if (reason->cause == OOM_STALL) {
        text_str(t, ": the kernel says that tasks wait for memory (PSI)\n");
        return;
    }
    if (reason->refused) {
        text_str(t, " refused a request of ");
        text_size(t, reason->refused);
        text_str(t, ": ");
    } else {
        text_str(t, " comes near: ");
    }
    text_size(t, reason->level.used);
    text_str(t, " of ");
    text_size(t, reason->level.limit);
    if (reason->refused) text_str(t, " were in use");
    if (reason->where) {
        text_str(t, ", ");
        text_str(t, reason->where);
    }
    text_char(t, '\n');
}

static void put_group(struct text *t, const struct oom_census *census, unsigned g)
{
    const struct oom_group *group = &census->group[g];
    size_t start = t->length;
    text_str(t, "  ");
    if (g == OOM_LARGE)
        text_str(t, "large");
    else
        text_dec(t, oom_group_size(g));
    pad_to(t, start, 18);
    put_bytes(t, group->live);
    put_dec(t, 12, group->count);
    put_bytes(t, group->free);
    text_char(t, '\n');
}

/* Selection of the few largest: there are some 150. The marks say which are printed. */
static void put_groups(struct text *t, const struct oom_census *census)
{
    bool printed[OOM_GROUPS] = {false};
    text_str(
        t,
        "  block size          bytes in use      human      blocks      bytes free      human\n");
    for (int row = 0; row < TOP_GROUPS; row++) {
        unsigned best = OOM_GROUPS;
        for (unsigned g = 0; g < OOM_GROUPS; g++) {
            if (printed[g] || census->group[g].live + census->group[g].free == 0) continue;
            if (best == OOM_GROUPS || census->group[g].live > census->group[best].live) best = g;
        }
        if (best == OOM_GROUPS) return;
        printed[best] = true;
        put_group(t, census, best);
    }
    uint64_t live = 0, free_bytes = 0, count = 0;
    for (unsigned g = 0; g < OOM_GROUPS; g++) {
        if (printed[g]) continue;
        live += census->group[g].live;
        count += census->group[g].count;
        free_bytes += census->group[g].free;
    }
    text_str(t, "  others          ");
    put_bytes(t, live);
    put_dec(t, 12, count);
    put_bytes(t, free_bytes);
    text_char(t, '\n');
}

static void put_largest(struct text *t, const struct oom_census *census)
{
    if (census->group[OOM_LARGE].count == 0) return;
    text_str(t, "  the largest blocks\n");
    for (int i = 0; i < OOM_LARGEST && census->largest[i].bytes; i++) {
        text_str(t, "    ");
        size_t start = t->length;
        text_hex(t, (uintptr_t)census->largest[i].start);
        pad_to(t, start, 14);
        put_bytes(t, census->largest[i].bytes);
        text_char(t, '\n');
    }
}

static void put_space(struct text *t, unsigned number, const char *what, uint64_t bytes)
{
    if (bytes == 0) return;
    size_t start = t->length;
    text_str(t, "  gc heap ");
    text_dec(t, number + 1);
    pad_to(t, start, 18);
    put_bytes(t, bytes);
    text_str(t, what);
}

void oom_print_groups(struct text *t, uint32_t number, const struct oom_reason *reason,
                      const struct oom_process *process, const struct oom_census *census)
{
    put_head(t, number, ", ");
    oom_print_date(t, os_date());
    text_char(t, '\n');
    put_reason(t, reason);
    text_str(t, "  threads     ");
    text_dec(t, process->threads);
    text_char(t, '\n');
    put_row(t, "resident", process->resident, "of the process, as the kernel counts");
    put_row(t, "  anonymous", process->anonymous, "");
    put_row(t, "  of files", process->file, "");
    put_row(t, "  shared", process->shared, "");
    put_row(t, "swapped", process->swapped, "");
    put_row(t, "heap in use", census->live, "blocks that the program holds");
    put_row(t, "heap free", census->free, "between them");
    put_row(t, "freed elsewhere", census->remote, "by other threads, not yet collected");
    put_row(t, "free spans", census->dirty, "kept for reuse");
    put_row(t, "own records", census->metadata, "Freehold's");
    for (unsigned i = 0; i < FH_GC_HEAPS; i++) {
        put_space(t, i, "  blocks of the collector's heap\n", census->space[i].blocks);
        put_space(t, i, "  large objects of the collector's heap\n", census->space[i].large);
    }
    put_groups(t, census);
    put_largest(t, census);
    text_char(t, '\n');
}

/* ---- the ledger --------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *why;
} owner_text[OWNERS] = {
    [OWN_LIVE] = {"heap, in use", "blocks that the program holds"},
    [OWN_FREE] = {"heap, free", "between blocks in use"},
    [OWN_LISTS] = {"heap, lists", "free, what threads allocate from next"},
    [OWN_SPANS] = {"heap, spans", "free and whole, kept for reuse"},
    [OWN_META] = {"heap, own", "Freehold's records"},
    [OWN_GC] = {"gc heaps", "objects of Freehold's collector"},
    [OWN_GC_TABLES] = {"gc tables", "marks and tables of the collector"},
    [OWN_BREAK] = {"[heap]", "the program break"},
    [OWN_STACK] = {"stack", "of the main thread"},
    [OWN_STACKS] = {"stacks", "of other threads"},
    [OWN_CODE] = {"code", "of the program and its libraries"},
    [OWN_FILES] = {"files", "mapped: constants, variables, data"},
    [OWN_SHARED] = {"shared", "with other processes by arrangement"},
    [OWN_ANONYMOUS] = {"anonymous", "mapped by the program or a library"},
    [OWN_KERNEL] = {"kernel", "vdso and the like"},
};

static void put_rest(struct text *t, const struct oom_ledger *ledger)
{
    size_t start = t->length;
    uint64_t size = ledger->rest < 0 ? 0 - (uint64_t)ledger->rest : (uint64_t)ledger->rest;
    char digits[24];
    struct text number = TEXT(digits);
    if (ledger->rest < 0) text_char(&number, '-');
    text_dec(&number, size);
    text_str(t, "  not found");
    pad_to(t, start, 18);
    put_right(t, 16, &number);
    pad_to(t, start, 18 + 16 + 11);
    text_str(t, ledger->cut ? "  mappings that there was no time to read\n"
                            : "  changed while it was counted\n");
}

void oom_print_ledger(struct text *t, uint32_t number, const struct oom_ledger *ledger)
{
    put_head(t, number, ": resident, by owner\n");
    for (int o = 0; o < OWNERS; o++)
        if (ledger->owner[o]) put_row(t, owner_text[o].name, ledger->owner[o], owner_text[o].why);
    put_rest(t, ledger);
    put_row(t, "sum", ledger->resident, "as the kernel counts");
    text_str(t, "  the largest mappings outside of the heap\n");
    for (int i = 0; i < OOM_MAPPINGS && ledger->mapping[i].bytes; i++) {
        pad_to(t, t->length, 18);
        put_bytes(t, ledger->mapping[i].bytes);
        text_str(t, "  ");
        text_str(t, ledger->mapping[i].name);
        text_char(t, '\n');
    }
    text_char(t, '\n');
}

/* ---- the trim --------------------------------------------------------------------------------------- */

void oom_print_trim(struct text *t, uint32_t number, uint64_t before, uint64_t after,
                    uint64_t given, unsigned passed, uint64_t ms)
{
    put_head(t, number, ": trimmed\n");
    put_row(t, "resident before", before, "");
    put_row(t, "resident after", after, "");
    put_row(t, "given back", given, "to the kernel");
    text_str(t, "  took ");
    text_dec(t, ms);
    text_str(t, " ms");
    if (passed) {
        text_str(t, "; passed over what stood under ");
        text_dec(t, passed);
        text_str(t, " locks");
    }
    text_str(t, "\n\n");
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

/* In the watcher only, or in a test that has none. */
static char report_buffer[24 << 10];
static struct oom_census report_census;
static struct oom_ledger report_ledger;
static uint32_t report_number;

/* A file that has grown is begun anew. */
static void bound_file(int fd)
{
    static const char cut[] = OOM_MAGIC "any: earlier reports were dropped here, at 1 MiB\n\n";
    if (os_log_size(fd) <= OOM_FILE_MAX) return;
    os_log_cut(fd);
    os_log_write(fd, cut, sizeof cut - 1);
}

/* Where even a page for the file is refused, memory is trimmed first. */
static bool report_write(int fd, const struct text *t)
{
    return os_log_write(fd, t->at, t->length) == (long)t->length;
}

struct trimmed {
    uint64_t before, after, given, ms;
    unsigned passed;
};

static struct trimmed report_trim(void)
{
    enum { PATIENCE_MS = 300 };
    struct oom_process process;
    struct trimmed r;
    oom_process(&process);
    uint64_t given = __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED);
    uint64_t start = os_clock_ms();
    r.before = process.resident;
    r.passed = heap_trim_hurried(PATIENCE_MS);
    oom_process(&process);
    r.after = process.resident;
    r.ms = os_clock_ms() - start;
    r.given = __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED) - given;
    return r;
}

void oom_report(int fd, const struct oom_reason *reason, void (*told)(void))
{
    struct text groups = TEXT(report_buffer), text = TEXT(report_buffer);
    struct oom_process process;
    uint32_t number = ++report_number;
    oom_process(&process);
    oom_census(&report_census);
    bound_file(fd);
    oom_print_groups(&groups, number, reason, &process, &report_census);
    bool written = report_write(fd, &groups);
    struct trimmed trimmed = {0};
    if (!written) {
        trimmed = report_trim();
        report_write(fd, &groups);
    }
    oom_ledger(&report_ledger);
    oom_print_ledger(&text, number, &report_ledger);
    report_write(fd, &text);
    if (told) told();
    if (written) trimmed = report_trim();
    text.length = 0;
    oom_print_trim(&text, number, trimmed.before, trimmed.after, trimmed.given, trimmed.passed,
                   trimmed.ms);
    report_write(fd, &text);
}
