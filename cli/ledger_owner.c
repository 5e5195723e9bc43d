/*
 * Whom an area belongs to: by its name, its file, its neighbours, the stack pointers of the threads.
 *
 * Since Linux 4.5 the kernel no longer says which mapping is a thread's stack. A thread that waits in a
 * system call tells its stack pointer (/proc/PID/task/TID/syscall); for those that run there is the form
 * that every C library gives a stack: anonymous memory right above an inaccessible guard.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

enum { STACK_GUARD_MAX = 1 << 20 };
#define ARENA_MAX (64ull << 20) /* glibc's HEAP_MAX_SIZE with 8-byte pointers */

const struct owner_form owner_forms[OWNERS] = {
    [OWNER_LIVE] = {"heap, live", "heap_live", "blocks in use by the program"},
    [OWNER_LISTS] = {"heap, free", "heap_lists", "in lists from which a thread allocates next"},
    [OWNER_REMOTE] = {"heap, free", "heap_remote",
                      "waiting for the thread that owns it to collect it"},
    [OWNER_QUARANTINE] = {"heap, free", "heap_quarantine",
                          "freed, in quarantine or a thread's cache"},
    [OWNER_PARTLY] = {"heap, free", "heap_partly", "between live blocks (fragmentation)"},
    [OWNER_SPANS] = {"heap, free", "heap_spans", "whole spans, kept until the purge"},
    [OWNER_META] = {"heap, own", "heap_metadata", "Freehold's records"},
    [OWNER_GC] = {"gc heaps", "gc", "objects of Freehold's collector"},
    [OWNER_ARENA_UNKNOWN] = {"heap, ?", "heap_unknown",
                             "of Freehold's arena; it could not be read further"},
    [OWNER_GLIBC_LIVE] = {"heap, live", "glibc_live", "blocks in use by the program"},
    [OWNER_GLIBC_BETWEEN] = {"heap, free", "glibc_between", "between live blocks (fragmentation)"},
    [OWNER_GLIBC_CACHED] = {"heap, free", "glibc_cached", "in threads' caches and fast bins"},
    [OWNER_GLIBC_TOP] = {"heap, free", "glibc_top", "at the ends of arenas"},
    [OWNER_GLIBC_OWN] = {"heap, own", "glibc_own", "glibc's records"},
    [OWNER_BREAK] = {"[heap]", "break", "the program break, not divided"},
    [OWNER_ARENAS] = {"arenas", "glibc_arenas", "of glibc, for threads, not divided"},
    [OWNER_MMAPPED] = {"mmapped", "glibc_mmapped", "large blocks of glibc, a mapping each"},
    [OWNER_MAIN_STACK] = {"stack", "main_stack", "of the main thread"},
    [OWNER_STACKS] = {"stacks", "stacks", "of other threads"},
    [OWNER_CODE] = {"code", "code", "of the program and its libraries"},
    [OWNER_CONSTANTS] = {"constants", "constants", "of the program and its libraries"},
    [OWNER_DATA] = {"variables", "data", "static, of the program and its libraries"},
    [OWNER_FILES] = {"files", "files", "mapped"},
    [OWNER_SHARED] = {"shared", "shared", "memory shared with other processes by arrangement"},
    [OWNER_DEVICES] = {"devices", "devices", "mapped"},
    [OWNER_NAMED] = {"named", "named", "anonymous memory that has a name"},
    [OWNER_ANONYMOUS] = {"anonymous", "anonymous", "mapped by the program or a library"},
    [OWNER_KERNEL] = {"kernel", "kernel", "vdso and the like"},
};

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- what one area alone tells ---------------------------------------------------------------- */

static bool is_anonymous(const struct mapping *m)
{
    return m->inode == 0 && !*m->path;
}

static bool is_file(const struct mapping *m)
{
    return m->inode != 0 && m->path[0] == '/';
}

static bool is_shared_memory(const struct mapping *m)
{
    return starts(m->path, "/dev/shm/") || starts(m->path, "/memfd:") || starts(m->path, "/SYSV") ||
           strcmp(m->path, "/dev/zero") == 0 || starts(m->path, "[anon_shmem:");
}

static enum owner owner_by_name(const struct mapping *m)
{
    if (strcmp(m->path, "[heap]") == 0) return OWNER_BREAK;
    if (strcmp(m->path, "[stack]") == 0) return OWNER_MAIN_STACK;
    if (starts(m->path, "[anon:freehold:")) return OWNER_ARENA_UNKNOWN;
    if (starts(m->path, "[anon:")) return OWNER_NAMED;
    if (is_shared_memory(m)) return OWNER_SHARED;
    if (starts(m->path, "[")) return OWNER_KERNEL;
    if (starts(m->path, "/dev/")) return OWNER_DEVICES;
    return is_file(m) ? OWNER_FILES : OWNER_ANONYMOUS;
}

/* ---- modules ---------------------------------------------------------------------------------- */

static bool is_module(const struct process *p, const struct mapping *m)
{
    for (size_t i = 0; i < p->module_count; i++) {
        if (strcmp(p->modules[i].path, m->path) == 0) return true;
    }
    return false;
}

static enum owner owner_of_file(const struct mapping *m, bool module)
{
    if (m->executable) return OWNER_CODE;
    if (!module) return OWNER_FILES;
    return m->writable ? OWNER_DATA : OWNER_CONSTANTS;
}

static void assign_files(struct ledger *l)
{
    const char *last = NULL;
    bool module = false;
    for (size_t i = 0; i < l->smaps.count; i++) {
        const struct mapping *m = &l->smaps.list[i].mapping;
        if (l->owner[i] != OWNER_FILES) continue;
        if (m->path != last) module = is_module(&l->process, m);
        last = m->path;
        l->owner[i] = (uint8_t)owner_of_file(m, module);
    }
}

/* What a program's file does not hold of its variables, because they are zero, lies right behind. */
static void assign_zeroed_data(struct ledger *l)
{
    for (size_t i = 1; i < l->smaps.count; i++) {
        const struct mapping *m = &l->smaps.list[i].mapping,
                             *before = &l->smaps.list[i - 1].mapping;
        bool behind = before->end == m->start && m->writable && is_anonymous(m);
        if (behind && l->owner[i - 1] == OWNER_DATA && is_file(before)) l->owner[i] = OWNER_DATA;
    }
}

/* ---- stacks ----------------------------------------------------------------------------------- */

static void take_stack(struct ledger *l, uint64_t pointer)
{
    size_t i = smaps_find(&l->smaps, pointer);
    if (i == l->smaps.count || l->smaps.list[i].mapping.start > pointer) return;
    if (l->owner[i] == OWNER_ANONYMOUS || l->owner[i] == OWNER_NAMED) l->owner[i] = OWNER_STACKS;
}

bool stack_pointer_parse(const char *text, size_t size, uint64_t *pointer)
{
    const char *end = text + size;
    while (end > text && (end[-1] == '\n' || end[-1] == ' ')) end--;
    const char *word[2] = {end, end}; /* the starts of the last two words */
    for (int i = 0; i < 2; i++) {
        const char *at = i ? word[0] : end;
        while (at > text && at[-1] == ' ') at--;
        while (at > text && at[-1] != ' ') at--;
        word[i] = at;
    }
    const char *at = word[1];
    if (word[0] == word[1] || end - at < 3 || memcmp(at, "0x", 2) != 0) return false;
    at += 2;
    return parse_hex(&at, end, pointer) && at < end && *at == ' ';
}

static void assign_stack_of(struct ledger *l, const char *thread)
{
    char path[128];
    struct file_text text;
    uint64_t pointer;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/syscall", (int)l->process.pid, thread);
    if (!file_read(&text, path, 4096)) return;
    if (text.data && stack_pointer_parse(text.data, text.size, &pointer)) take_stack(l, pointer);
    free(text.data);
}

/* Anonymous, private, above a guard of at most a megabyte that nothing may touch. */
static bool has_form_of_stack(const struct ledger *l, size_t i)
{
    if (i == 0) return false;
    const struct mapping *m = &l->smaps.list[i].mapping, *guard = &l->smaps.list[i - 1].mapping;
    bool guarded = guard->end == m->start && is_anonymous(guard) && !guard->readable &&
                   !guard->writable && !guard->executable &&
                   guard->end - guard->start <= STACK_GUARD_MAX;
    return guarded && m->readable && m->writable && !m->shared && m->end - m->start > 8192;
}

static uint64_t count_of(const struct ledger *l, enum owner owner)
{
    uint64_t count = 0;
    for (size_t i = 0; i < l->smaps.count; i++) count += l->owner[i] == owner;
    return count;
}

static void assign_stacks(struct ledger *l)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)l->process.pid);
    DIR *threads = opendir(path);
    uint64_t count = 0;
    for (struct dirent *entry; threads && (entry = readdir(threads));) {
        if (entry->d_name[0] == '.') continue;
        count++;
        assign_stack_of(l, entry->d_name);
    }
    if (threads) closedir(threads);
    l->threads = count;
    uint64_t missing = count > 0 ? count - 1 : 0, found = count_of(l, OWNER_STACKS);
    for (size_t i = 0; i < l->smaps.count && found < missing; i++) {
        if (l->owner[i] != OWNER_ANONYMOUS || !has_form_of_stack(l, i)) continue;
        l->owner[i] = OWNER_STACKS;
        found++;
    }
}

/* ---- glibc ------------------------------------------------------------------------------------ */

/* An arena's heap begins at a multiple of 64 MiB with: its arena, in the first page of such a heap; the
 * heap before it; its size. */
static bool has_form_of_arena(const struct ledger *l, size_t i)
{
    const struct mapping *m = &l->smaps.list[i].mapping;
    uint64_t arena, before, size;
    if (m->start % ARENA_MAX || m->end - m->start > ARENA_MAX) return false;
    if (!memory_word(&l->process.memory, 8, m->start, &arena) ||
        !memory_word(&l->process.memory, 8, m->start + 8, &before) ||
        !memory_word(&l->process.memory, 8, m->start + 16, &size))
        return false;
    return arena && arena % ARENA_MAX < l->pages.page_size && before % ARENA_MAX == 0 && size &&
           size <= ARENA_MAX && size % l->pages.page_size == 0;
}

/* A large block begins with its size, a multiple of pages, and the bit that says so; several of them
 * may have become one mapping. */
static bool has_form_of_large_blocks(const struct ledger *l, size_t i)
{
    enum { MMAPPED = 2, BITS = 7, CHUNKS_MAX = 64 };
    const struct mapping *m = &l->smaps.list[i].mapping;
    uint64_t at = m->start;
    for (int chunks = 0; at < m->end && chunks < CHUNKS_MAX; chunks++) {
        uint64_t size;
        if (!memory_word(&l->process.memory, 8, at + 8, &size)) return false;
        uint64_t bytes = size & ~(uint64_t)BITS;
        if ((size & BITS) != MMAPPED || bytes == 0 || bytes % l->pages.page_size) return false;
        if (bytes > m->end - at) return false;
        at += bytes;
    }
    return true;
}

static void assign_glibc(struct ledger *l)
{
    for (size_t i = 0; i < l->smaps.count; i++) {
        const struct mapping *m = &l->smaps.list[i].mapping;
        if (l->owner[i] != OWNER_ANONYMOUS || !m->readable || !m->writable || m->shared) continue;
        if (l->smaps.list[i].rss == 0) continue;
        if (has_form_of_arena(l, i))
            l->owner[i] = OWNER_ARENAS;
        else if (has_form_of_large_blocks(l, i))
            l->owner[i] = OWNER_MMAPPED;
    }
}

/* ---- all of them ------------------------------------------------------------------------------ */

static void assign_arenas(struct ledger *l)
{
    for (size_t i = 0; i < l->smaps.count; i++) {
        const struct mapping *m = &l->smaps.list[i].mapping;
        for (size_t j = 0; j < l->arena_count; j++) {
            if (m->start >= l->arenas[j].base && m->end <= l->arenas[j].limit)
                l->owner[i] = OWNER_LIVE;
        }
    }
}

bool ledger_assign(struct ledger *l)
{
    l->owner = calloc(l->smaps.count + 1, 1);
    if (!l->owner) return false;
    for (size_t i = 0; i < l->smaps.count; i++)
        l->owner[i] = (uint8_t)owner_by_name(&l->smaps.list[i].mapping);
    assign_arenas(l);
    assign_files(l);
    assign_zeroed_data(l);
    assign_stacks(l);
    if (l->is_glibc) assign_glibc(l);
    return true;
}
