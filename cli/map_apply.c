/*
 * freehold map --apply: the process calls malloc_trim(0), and the ledger is told before and after.
 *
 * The function is the one of the module that owns malloc, so that no other allocator's is called; borrow.h
 * says when a thread may be made to call it. Of glibc, the lock words of all arenas are watched; of a heap
 * whose chunks contradict each other twice at the same place, nothing is asked: glibc would end the program.
 *
 * What is told is a difference of RSS around the call, and no more: nobody else stands meanwhile, and what the process
 * takes or frees by itself is in it. That it did so is seen in rows that no trim changes, and said.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "borrow.h"
#include "cli.h"
#include "fields.h"
#include "json.h"
#include "map.h"
#include "parts.h"

enum { LOCK_WAIT_MS = 20, ARENAS_WATCHED = GLIBC_ARENAS_MAX, CHANGE_TOLD = 4096 };

struct apply {
    struct ledger before, after;
    struct borrow borrow;
    uint64_t resident_before, resident_after; /* by the kernel, around the call alone */
};

static uint64_t said(const struct ledger *l)
{
    return l->is_glibc ? l->glibc.trim : l->heap.trim;
}

/* ---- glibc's locks -------------------------------------------------------------------------- */

/* The lock of an arena is its first word: 0 is free. It need be seen so only once: a thread that stands does
 * not take it again. */
static bool await_lock(const struct memory *memory, uint64_t arena)
{
    uint32_t lock = 1;
    for (int i = 0; i < LOCK_WAIT_MS * 20; i++) {
        if (!memory_read(memory, arena, &lock, sizeof lock)) return false;
        if (lock == 0) return true;
        nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    return false;
}

static bool glibc_unlocked(void *context, const struct memory *memory)
{
    const struct ledger *l = context;
    uint64_t first = l->glibc.bins + (uint64_t)GLIBC_TO_ARENA, arena = first;
    for (int i = 0; i < ARENAS_WATCHED; i++) {
        uint64_t next = arena - (uint64_t)GLIBC_TO_ARENA + GLIBC_TO_NEXT;
        if (!await_lock(memory, arena) || !memory_read(memory, next, &arena, sizeof arena))
            return false;
        if (arena == first) return true;
    }
    return false;
}

/* Freehold's are not looked at: they are held in its own code only, and in fork. */
static bool freehold_unlocked(void *context, const struct memory *memory)
{
    (void)context, (void)memory;
    return true;
}

/* ---- what to call --------------------------------------------------------------------------- */

static uint64_t function_of(const struct module *m, const char *name)
{
    struct elf_symbol symbol;
    bool found = m && m->source != MODULE_UNREAD && elf_image_symbol(&m->image, name, &symbol) &&
                 symbol.function;
    return found ? m->bias + symbol.value : 0;
}

static const struct module *library_of_c(const struct process *p)
{
    const struct module *c = process_module(p, "libc.so.6");
    return c ? c : process_executable(p);
}

/* glibc's main arena is a variable of the module whose function is called. */
static bool is_of_owner(const struct ledger *l)
{
    const struct module *m = l->verdict.owner;
    return !l->is_glibc || (l->glibc.bins >= m->start && l->glibc.bins < m->end);
}

static int prepare(struct apply *a, int refused)
{
    const struct ledger *l = &a->before;
    const struct process *p = &l->process;
    int pid = (int)p->pid;
    if (!(l->is_freehold && l->has_heap) && !(l->is_glibc && l->has_glibc))
        return refuse(refused,
                      "%s (pid %d) has no heap of glibc's or Freehold's that could be read, and of "
                      "others it is not known what they give back",
                      p->name, pid);
    a->borrow = (struct borrow){.process = p, .allocator = l->verdict.owner};
    struct machine_function *f = &a->borrow.function;
    f->address = function_of(l->verdict.owner, "malloc_trim");
    f->location = function_of(library_of_c(p), "__errno_location");
    if (!f->address || !f->location || !is_of_owner(l))
        return refuse(
            refused,
            "%s (pid %d) does not tell where its malloc_trim or its errno is: a static program "
            "mostly leaves them out, or has no symbols",
            p->name, pid);
    a->borrow.is_libc = l->is_glibc;
    a->borrow.unlocked = l->is_glibc ? glibc_unlocked : freehold_unlocked;
    a->borrow.context = &a->before;
    return 0;
}

/* A process that changes is torn now here, now there. */
static int check_heap(const struct apply *a, int refused)
{
    struct glibc_pages again;
    const struct ledger *l = &a->before;
    if (!l->is_glibc || l->glibc.torn == 0) return 0;
    bool read = glibc_pages_read(&again, &l->process.memory, &l->pages, &l->smaps, l->process.task);
    bool same = read && again.torn && again.torn_at == l->glibc.torn_at;
    glibc_pages_finish(&again);
    if (!same) return 0;
    return refuse(refused,
                  "%s (pid %d) has damaged its heap at 0x%llx: glibc might end it as it trims",
                  l->process.name, (int)l->process.pid, (unsigned long long)l->glibc.torn_at);
}

/* ---- telling -------------------------------------------------------------------------------- */

/* After the call minus before it. */
static int64_t difference(const struct apply *a)
{
    return (int64_t)(a->resident_after - a->resident_before);
}

/* A trim leaves these as they are; of stacks and code it may touch what nobody has touched before. */
static bool is_untrimmed(enum owner owner)
{
    static const enum owner list[] = {
        OWNER_LIVE,    OWNER_GC,    OWNER_GLIBC_LIVE, OWNER_BREAK, OWNER_ARENAS, OWNER_DATA,
        OWNER_MMAPPED, OWNER_FILES, OWNER_DEVICES,    OWNER_NAMED, OWNER_SHARED, OWNER_ANONYMOUS};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (list[i] == owner) return true;
    }
    return false;
}

/* Bytes by which those differ between the two ledgers. */
static uint64_t changed(const struct apply *a)
{
    uint64_t sum = 0;
    for (int owner = 0; owner < OWNERS; owner++) {
        int64_t change = (int64_t)(a->after.rows[owner].bytes - a->before.rows[owner].bytes);
        if (is_untrimmed((enum owner)owner)) sum += (uint64_t)llabs(change);
    }
    return sum;
}

static void show_change(const char *label, uint64_t before, uint64_t after, const char *what)
{
    printf("  %-11s %12s %12s  %s\n", label, HUMAN(bytes, before), HUMAN(bytes, after), what);
}

static void show_rows(const struct apply *a)
{
    uint64_t same = 0;
    for (int owner = 0; owner < OWNERS; owner++) {
        uint64_t before = a->before.rows[owner].bytes, after = a->after.rows[owner].bytes;
        if (before == after)
            same += before;
        else
            show_change(owner_forms[owner].label, before, after, owner_forms[owner].what);
    }
    if (same) show_change("the rest", same, same, "as before");
    show_change("resident", a->before.resident, a->after.resident, "");
}

static void show_verdict(const struct apply *a, const struct palette *colours)
{
    const struct process *p = &a->before.process;
    int64_t bytes = difference(a);
    printf("%s%s (pid %d) on %s: RSS %s before malloc_trim(0), %s after it: ", colours->strong,
           p->name, (int)p->pid, verdict_name(&a->before.verdict), HUMAN(bytes, a->resident_before),
           HUMAN(bytes, a->resident_after));
    if (bytes == 0)
        printf("no difference");
    else
        printf("%s %s", HUMAN(bytes, (uint64_t)llabs(bytes)), bytes < 0 ? "less" : "more");
    printf("; %s were told%s\n", HUMAN(bytes, said(&a->before)), colours->plain);
}

static void show(const struct apply *a, const struct palette *colours)
{
    uint64_t bytes = changed(a);
    show_verdict(a, colours);
    printf("  %s%-11s %12s %12s%s\n", colours->dim, "", "before", "after", colours->plain);
    show_rows(a);
    if (bytes >= CHANGE_TOLD)
        printf(
            "  %s%-11s%s the process changed %s by itself meanwhile, which is in the difference\n",
            colours->warn, "careful", colours->plain, HUMAN(bytes, bytes));
    printf("  %s%-11s%s thread %d made the call, and was borrowed for %.1f ms; the others ran on\n",
           colours->dim, "cost", colours->plain, (int)a->borrow.thread,
           (double)a->borrow.borrowed_us / 1000);
}

static void show_json(const struct apply *a)
{
    struct json j = json_to(stdout);
    json_open(&j, NULL, '{');
    json_open(&j, "applied", '{');
    json_text(&j, "remedy", "malloc_trim");
    json_number(&j, "told", said(&a->before));
    json_signed(&j, "resident_difference", difference(a));
    json_number(&j, "changed_meanwhile", changed(a));
    json_number(&j, "resident_before", a->resident_before);
    json_number(&j, "resident_after", a->resident_after);
    json_number(&j, "thread", (uint64_t)a->borrow.thread);
    json_number(&j, "borrowed_us", a->borrow.borrowed_us);
    json_number(&j, "threads_tried", a->borrow.tried);
    json_close(&j, '}');
    map_json_ledger(&j, "before", &a->before, false);
    map_json_ledger(&j, "after", &a->after, false);
    json_close(&j, '}');
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int call(struct apply *a, int refused)
{
    const struct process *p = &a->before.process;
    a->resident_before = resident_read(p->task).now;
    if (!borrow_call(&a->borrow))
        return refuse(refused, "%s (pid %d) was not made to trim: %s", p->name, (int)p->pid,
                      a->borrow.why);
    a->resident_after = resident_read(p->task).now;
    return 0;
}

static int apply(struct apply *a, pid_t pid, bool json, int refused)
{
    struct palette colours = palette_for(1);
    int status = prepare(a, refused);
    if (!status) status = check_heap(a, refused);
    if (!status) status = call(a, refused);
    if (status) return status;
    status = ledger_read(&a->after, pid, "map --apply", refused);
    if (!status && json)
        show_json(a);
    else if (!status)
        show(a, &colours);
    ledger_finish(&a->after);
    return status;
}

int map_apply(pid_t pid, bool json, int refused)
{
    static struct apply a;
    int status = ledger_read(&a.before, pid, "map --apply", refused);
    if (!status) status = apply(&a, pid, json, refused);
    ledger_finish(&a.before);
    return status;
}
