/* Choosing a thread, and the call. See borrow.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "borrow.h"
#include "clock.h"
#include "freeze_inside.h"

enum { ROOM = 2 * MACHINE_ROOM, STACK_MAX = 64 << 20, STACK_AT_ONCE = 64 << 10, PAUSE_US = 2000 };

struct search {
    struct borrow *b;
    struct freeze f; /* one thread at a time */
    struct maps maps;
    struct memory memory;
    struct machine_gadgets gadgets;
    uint64_t fork, fork_end; /* the C library's */
};

static bool refuse_thread(struct search *s, const char *why)
{
    snprintf(s->b->why, sizeof s->b->why, "%s", why);
    return false;
}

/* ---- safe points ---------------------------------------------------------------------------- */

static bool is_within(const struct module *m, uint64_t address)
{
    return m && address >= m->start && address < m->end;
}

static bool is_library_of_c(const char *path)
{
    const char *name = base_name(path);
    return strncmp(name, "libc.so", 7) == 0 || strncmp(name, "libc-", 5) == 0 ||
           strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld.so", 5) == 0 ||
           strncmp(name, "libpthread", 10) == 0;
}

/* Code of the program's own, which nobody calls in the middle of anything. A static program's is not told
 * apart from that of its C library. */
static bool runs_own_code(const struct search *s, uint64_t at)
{
    const struct mapping *m = maps_find(&s->maps, at);
    bool file = m && m->executable && m->inode != 0 && !is_library_of_c(m->path);
    return file && !is_within(s->b->allocator, at);
}

static bool is_suspect(const struct search *s, uint64_t word)
{
    return word == s->gadgets.resume || (word > s->fork && word < s->fork_end);
}

/* What lies on the stack above the pointer: return addresses, and what looks like them. */
static bool is_in_handler_or_fork(const struct search *s, uint64_t stack_pointer)
{
    static uint64_t words[STACK_AT_ONCE / sizeof(uint64_t)];
    const struct mapping *m = maps_find(&s->maps, stack_pointer);
    if (!m || m->end - stack_pointer > STACK_MAX) return true;
    for (uint64_t at = stack_pointer & ~7ull, size; at < m->end; at += size) {
        size = m->end - at < sizeof words ? m->end - at : sizeof words;
        if (!memory_read(&s->memory, at, words, size)) return true;
        for (size_t i = 0; i < size / sizeof *words; i++) {
            if (is_suspect(s, words[i])) return true;
        }
    }
    return false;
}

static bool is_safe(struct search *s, const struct frozen_thread *t)
{
    const struct machine_registers *r = &t->registers;
    if (!t->trapped)
        return refuse_thread(s, "a thread was stopped already, or had a signal to be delivered");
    if (is_within(s->b->allocator, r->program_counter) && !(s->b->is_libc && machine_waits(r)))
        return refuse_thread(s, "a thread was inside its malloc");
    if (!machine_waits(r) && !runs_own_code(s, r->program_counter))
        return refuse_thread(s, "a thread ran in its C library, of which not all is known");
    if (!freeze_has_room(&s->maps, r->stack_pointer, ROOM))
        return refuse_thread(s, "a thread stood on a stack without room for a call");
    if (freeze_is_confined(s->b->process->pid, t->tid))
        return refuse_thread(s,
                             "it runs under seccomp or a shadow stack, where a call could end it");
    if (is_in_handler_or_fork(s, r->stack_pointer))
        return refuse_thread(s,
                             "a thread was in a signal handler or in fork, or its stack looked so");
    return s->b->unlocked(s->b->context, &s->memory) ||
           refuse_thread(s, "a lock of its malloc did not become free while a thread stood");
}

/* ---- one thread ----------------------------------------------------------------------------- */

static bool call_in(struct search *s, const struct frozen_thread *t)
{
    struct machine_call call = {
        .tid = t->tid, .memory = &s->memory, .gadgets = &s->gadgets, .registers = &t->registers};
    uint64_t began = clock_ns();
    bool done = machine_function(&call, &s->b->function);
    s->b->borrowed_us = (clock_ns() - began) / 1000;
    s->b->thread = t->tid;
    return done || refuse_thread(s, "the call could not be made, or the thread ended in it");
}

/* Its mappings are those of now, or its stack might have been a stack no longer. */
static bool try_thread(struct search *s, pid_t tid)
{
    s->f.count = 0;
    if (!thread_seize(&s->f, tid)) return false;
    const struct frozen_thread *t = &s->f.threads[0];
    s->b->tried++;
    bool read = maps_read(&s->maps, s->b->process->pid);
    bool done = read && is_safe(s, t) && call_in(s, t);
    maps_finish(&s->maps);
    thread_let_go(t);
    return done;
}

/* By what the kernel says of the call that it waits in, without stopping it. */
static bool seems_to_wait(pid_t pid, const char *tid)
{
    char path[128];
    struct file_text text;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/syscall", (int)pid, tid);
    if (!file_read(&text, path, 4096)) return false;
    char *end = text.data;
    long number = strtol(text.data, &end, 10);
    bool waits = end != text.data && machine_is_wait(number);
    free(text.data);
    return waits;
}

static bool try_all(struct search *s, bool waiting)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)s->b->process->pid);
    DIR *tasks = opendir(path);
    bool done = false;
    if (!tasks) return refuse_thread(s, "it has ended");
    for (struct dirent *entry; !done && (entry = readdir(tasks));) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid > 0 && seems_to_wait(s->b->process->pid, entry->d_name) == waiting)
            done = try_thread(s, tid);
    }
    closedir(tasks);
    return done;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void find_fork(struct search *s)
{
    struct elf_symbol symbol;
    const struct process *p = s->b->process;
    const struct module *c = process_module(p, "libc.so.6");
    if (!c) c = process_executable(p);
    if (!c || c->source == MODULE_UNREAD || !elf_image_symbol(&c->image, "fork", &symbol)) return;
    s->fork = c->bias + symbol.value;
    s->fork_end = s->fork + symbol.size;
}

static bool search(struct search *s)
{
    uint64_t deadline = clock_ns() + BORROW_MS * 1000000ull;
    do {
        if (try_all(s, true) || try_all(s, false)) return true;
        nanosleep(&(struct timespec){0, PAUSE_US * 1000}, NULL);
    } while (clock_ns() < deadline && s->b->thread == 0);
    return false;
}

bool borrow_call(struct borrow *b)
{
    struct process_memory context;
    struct search s = {.b = b, .memory = memory_of(&context, b->process->pid)};
    bool done = false;
    b->why[0] = '\0';
    if (!machine_can_call())
        refuse_thread(&s, "on this machine no function can be called from outside yet");
    else if (!freeze_possible(&s.f, b->process->pid, "map --apply"))
        refuse_thread(&s, s.f.why);
    else if (freeze_is_confined(b->process->pid, b->process->pid))
        refuse_thread(&s, "it runs under seccomp or a shadow stack, where a call could end it");
    else if (!freeze_find_gadgets(&s.gadgets, &s.memory, &b->process->maps))
        refuse_thread(&s, "it has no instruction that a call can be made with");
    else {
        find_fork(&s);
        done = search(&s);
        if (!done && b->tried == 0) {
            freeze_forbidden(&s.f);
            refuse_thread(&s, s.f.why);
        }
    }
    freeze_finish(&s.f);
    memory_finish(&context);
    return done;
}
