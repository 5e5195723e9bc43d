/*
 * One address through the page tables: virtual memory as it is taught, on a real process.
 *
 *      47        39 38        30 29        21 20        12 11         0     4 KiB pages, 4 levels
 *     | PGD index  | PUD index  | PMD index  | PTE index  | offset     |
 *
 * Each level is a table of one page whose entries have 8 bytes, so each index has as many bits as a page
 * has words: 9 with pages of 4 KiB, 11 with 16, 13 with 64. The tables themselves are the kernel's; what
 * the last of them says is in /proc/PID/pagemap. Frames are shown to root only (CAP_SYS_ADMIN), since
 * who knows them can aim at the memory's rows.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap_describe.h"
#include "json.h"
#include "map.h"
#include "target.h"

enum { LEVELS_MAX = 5 };

struct level {
    const char *name;
    unsigned high, low; /* bits */
    uint64_t index;
};

struct walk {
    struct process process;
    uint64_t address, page_size;
    struct level levels[LEVELS_MAX];
    size_t level_count;
    const struct mapping *mapping; /* NULL: nothing is mapped there */
    const struct mapping *below, *above;
    bool known; /* `entry` could be read */
    uint64_t entry, frame;
    bool huge, zero;
    bool counted, flagged;
    uint64_t count, flags; /* of the frame */
    char holds[200];
};

/* ---- indices ---------------------------------------------------------------------------------- */

static unsigned log2_of(uint64_t n)
{
    return 63 - (unsigned)__builtin_clzll(n);
}

/* A fifth level is there if the processor has it and the kernel uses it; then /proc/cpuinfo names it. */
static bool has_five_levels(void)
{
    struct file_text text;
    bool found = false;
    if (!file_read(&text, "/proc/cpuinfo", 1 << 14)) return false;
    if (text.data) found = strstr(text.data, " la57") != NULL;
    free(text.data);
    return found;
}

static void split(struct walk *w)
{
    static const char *const names[] = {"PTE", "PMD", "PUD", "PGD"};
    static const char *const names_of_five[] = {"PTE", "PMD", "PUD", "P4D", "PGD"};
    bool five = has_five_levels();
    unsigned low = log2_of(w->page_size), bits = low - 3, top = five ? 57 : 48;
    size_t count = (top - low + bits - 1) / bits;
    if (count > LEVELS_MAX) count = LEVELS_MAX;
    w->level_count = count;
    for (size_t i = 0; i < count; i++, low += bits) {
        unsigned high = low + bits < top ? low + bits : top;
        const char *name = i + 1 == count ? "PGD" : five ? names_of_five[i] : names[i];
        uint64_t mask = ((uint64_t)1 << (high - low)) - 1;
        w->levels[count - 1 - i] = (struct level){name, high - 1, low, w->address >> low & mask};
    }
}

/* ---- what is there ---------------------------------------------------------------------------- */

static void find_mapping(struct walk *w)
{
    const struct maps *maps = &w->process.maps;
    w->mapping = maps_find(maps, w->address);
    for (size_t i = 0; i < maps->count && !w->mapping; i++) {
        const struct mapping *m = &maps->list[i];
        if (m->end <= w->address) w->below = m;
        if (m->start > w->address && !w->above) w->above = m;
    }
}

static bool read_word(const char *path, uint64_t index, uint64_t *word)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool read = pread(fd, word, sizeof *word, (off_t)(index * sizeof *word)) == sizeof *word;
    close(fd);
    return read;
}

static void read_entry(struct walk *w)
{
    struct pages pages;
    if (!pages_open(&pages, w->process.task)) return;
    w->known = page_entry(&pages, w->address, &w->entry);
    w->huge = page_is_huge(&pages, w->address);
    w->zero = page_is_zero(&pages, w->address);
    pages_close(&pages);
    if (!w->known || !(w->entry & PAGE_ENTRY_PRESENT)) return;
    w->frame = w->entry & PAGE_ENTRY_FRAME;
    if (w->frame == 0) return;
    w->counted = read_word("/proc/kpagecount", w->frame, &w->count);
    w->flagged = read_word("/proc/kpageflags", w->frame, &w->flags);
}

/* The arena may be the malloc's, or that of libgc.so.1. */
static void describe(struct walk *w)
{
    const struct process *p = &w->process;
    struct fh_registry r;
    for (size_t i = 0; i < p->module_count && !*w->holds; i++) {
        const struct module *m = &p->modules[i];
        if (!m->signs.registry) continue;
        if (registry_read(&r, &p->memory, m->bias + m->signs.registry) != HEAP_VIEW_READ) continue;
        if (!heap_describe(&r, &p->memory, w->address, w->holds, sizeof w->holds)) *w->holds = 0;
    }
}

/* ---- text ------------------------------------------------------------------------------------- */

/* As in linux/kernel-page-flags.h, by bit. */
static const char *const flag_names[] = {
    "locked",     "error",     "referenced", "uptodate",  "dirty",       "lru",      "active",
    "slab",       "writeback", "reclaim",    "buddy",     "mmap",        "anon",     "swapcache",
    "swapbacked", "head",      "tail",       "huge",      "unevictable", "hwpoison", "nopage",
    "ksm",        "thp",       "offline",    "zero_page", "idle",        "pgtable",
};
enum { FLAG_NAMES = sizeof flag_names / sizeof *flag_names };

static const char *state_of(const struct walk *w)
{
    if (!w->mapping) return "not mapped";
    if (!w->known) return "mapped; its page may not be looked at";
    if (w->entry & PAGE_ENTRY_GUARD) return "a guard: every access faults";
    if (w->entry & PAGE_ENTRY_SWAPPED) return "swapped out, or being moved";
    if (!(w->entry & PAGE_ENTRY_PRESENT)) return "mapped, but without memory yet";
    return w->zero ? "present: the kernel's page of zeros" : "present";
}

static void label(FILE *out, const struct palette *colours, const char *text)
{
    fprintf(out, "  %s%-11s%s ", colours->dim, text, colours->plain);
}

static void show_mapping(const struct walk *w, FILE *out)
{
    const struct mapping *m = w->mapping;
    char clean[1024];
    if (m) {
        human_clean(clean, sizeof clean, m->path);
        fprintf(out, "%" PRIx64 "-%" PRIx64 " %c%c%c%c %s%s\n", m->start, m->end,
                m->readable ? 'r' : '-', m->writable ? 'w' : '-', m->executable ? 'x' : '-',
                m->shared ? 's' : 'p', *clean ? clean : "anonymous",
                m->readable || m->writable || m->executable ? "" : "; every access faults");
        return;
    }
    fputs("none: an access ends in SIGSEGV", out);
    if (w->below)
        fprintf(out, "; %s behind what ends at %" PRIx64, HUMAN(bytes, w->address - w->below->end),
                w->below->end);
    if (w->above)
        fprintf(out, "; %s before what begins at %" PRIx64,
                HUMAN(bytes, w->above->start - w->address), w->above->start);
    fputc('\n', out);
}

static void show_levels(const struct walk *w, FILE *out, const struct palette *colours)
{
    for (size_t i = 0; i < w->level_count; i++) {
        const struct level *l = &w->levels[i];
        bool end = w->huge && i + 2 == w->level_count, skipped = w->huge && i + 1 == w->level_count;
        label(out, colours, i ? "" : "indices");
        fprintf(out, "%s %4" PRIu64 "   bits %u-%u, an entry covers %s%s\n", l->name, l->index,
                l->high, l->low, HUMAN(bytes, 1ull << l->low),
                end       ? "; a huge page: the walk ends here"
                : skipped ? "; no table, its bits are part of the offset"
                          : "");
    }
    label(out, colours, "offset");
    fprintf(out, "%" PRIu64 " of %" PRIu64 "\n", w->address % w->page_size, w->page_size);
}

static void show_entry(const struct walk *w, FILE *out)
{
    uint64_t e = w->entry;
    fputs(state_of(w), out);
    if (e & PAGE_ENTRY_PRESENT) {
        fputs(e & PAGE_ENTRY_FILE ? ", of a file or shared memory" : ", anonymous", out);
        fputs(e & PAGE_ENTRY_EXCLUSIVE ? ", of this process alone" : ", perhaps of others too",
              out);
    }
    if (e & PAGE_ENTRY_WRITE_PROTECTED) fputs(", write-protected by userfaultfd", out);
    if (w->huge) fputs(", part of a huge page", out);
    fputc('\n', out);
}

static void show_frame(const struct walk *w, FILE *out)
{
    if (w->frame == 0) {
        fputs("shown to root only (CAP_SYS_ADMIN)\n", out);
        return;
    }
    fprintf(out, "0x%" PRIx64 ", physical address 0x%" PRIx64, w->frame,
            w->frame * w->page_size + w->address % w->page_size);
    if (w->counted) fprintf(out, "; mapped %" PRIu64 " time%s", w->count, w->count == 1 ? "" : "s");
    fputc('\n', out);
}

static void show_flags(const struct walk *w, FILE *out)
{
    for (int i = 0; i < FLAG_NAMES; i++) {
        if (w->flags >> i & 1) fprintf(out, "%s ", flag_names[i]);
    }
    fputc('\n', out);
}

static void walk_show(const struct walk *w, FILE *out, const struct palette *colours)
{
    fprintf(out, "%s%s (pid %d): 0x%" PRIx64 " is %s%s\n", colours->strong, w->process.name,
            (int)w->process.pid, w->address, state_of(w), colours->plain);
    label(out, colours, "mapping");
    show_mapping(w, out);
    if (*w->holds) {
        label(out, colours, "holds");
        fprintf(out, "%s\n", w->holds);
    }
    show_levels(w, out, colours);
    if (!w->mapping) return;
    label(out, colours, "entry");
    show_entry(w, out);
    if (!(w->entry & PAGE_ENTRY_PRESENT)) return;
    label(out, colours, "frame");
    show_frame(w, out);
    if (!w->flagged) return;
    label(out, colours, "its flags");
    show_flags(w, out);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void json_levels(struct json *j, const struct walk *w)
{
    json_open(j, "levels", '[');
    for (size_t i = 0; i < w->level_count; i++) {
        json_open(j, NULL, '{');
        json_text(j, "name", w->levels[i].name);
        json_number(j, "high_bit", w->levels[i].high);
        json_number(j, "low_bit", w->levels[i].low);
        json_number(j, "index", w->levels[i].index);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_frame(struct json *j, const struct walk *w)
{
    if (w->frame)
        json_number(j, "frame", w->frame);
    else
        json_text(j, "frame", NULL);
    if (!w->flagged) return;
    json_open(j, "frame_flags", '[');
    for (int i = 0; i < FLAG_NAMES; i++) {
        if (w->flags >> i & 1) json_text(j, NULL, flag_names[i]);
    }
    json_close(j, ']');
    json_number(j, "frame_mapped", w->count);
}

static void walk_json(const struct walk *w, FILE *out)
{
    struct json j = json_to(out);
    json_open(&j, NULL, '{');
    json_number(&j, "pid", (uint64_t)w->process.pid);
    json_number(&j, "address", w->address);
    json_text(&j, "state", state_of(w));
    json_text(&j, "mapping", w->mapping ? w->mapping->path : NULL);
    json_text(&j, "holds", *w->holds ? w->holds : NULL);
    json_number(&j, "page_size", w->page_size);
    json_number(&j, "offset", w->address % w->page_size);
    json_levels(&j, w);
    json_bool(&j, "present", w->entry & PAGE_ENTRY_PRESENT);
    json_bool(&j, "swapped", w->entry & PAGE_ENTRY_SWAPPED);
    json_bool(&j, "file", w->entry & PAGE_ENTRY_FILE);
    json_bool(&j, "exclusive", w->entry & PAGE_ENTRY_EXCLUSIVE);
    json_bool(&j, "soft_dirty", w->entry & PAGE_ENTRY_SOFT_DIRTY);
    json_bool(&j, "huge", w->huge);
    json_bool(&j, "zero_page", w->zero);
    json_frame(&j, w);
    json_close(&j, '}');
}

int map_walk(pid_t pid, uint64_t address, bool json, int refused)
{
    struct walk w = {.address = address, .page_size = (uint64_t)sysconf(_SC_PAGESIZE)};
    struct palette colours = palette_for(STDOUT_FILENO);
    enum process_error error = process_read(&w.process, pid, NULL);
    int status = 0;
    if (error == PROCESS_READ) {
        split(&w);
        find_mapping(&w);
        if (w.mapping) read_entry(&w);
        describe(&w);
        if (json)
            walk_json(&w, stdout);
        else
            walk_show(&w, stdout, &colours);
    } else {
        char command[48];
        snprintf(command, sizeof command, "map --walk=0x%" PRIx64, address);
        status = target_refuse(refused, command, error, &w.process);
    }
    process_finish(&w.process);
    return status;
}
