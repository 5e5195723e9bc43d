/* Making the stopped process clone itself, and later reap the clone. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fields.h"
#include "freeze_inside.h"

/* The C library's code, of which both instructions lie within the first two MiB. */
enum { CODE_AT_ONCE = 1 << 18, CODE_MAX = 64 << 20 };

static bool refuse_clone(struct freeze *f, const char *why)
{
    snprintf(f->fallback, sizeof f->fallback, "%s", why);
    return false;
}

static void search_code(struct machine_gadgets *g, const struct memory *memory,
                        const struct mapping *m)
{
    unsigned char *code = malloc(CODE_AT_ONCE);
    for (uint64_t at = m->start; code && at < m->end && at - m->start < CODE_MAX;
         at += CODE_AT_ONCE - 16) {
        uint64_t size = m->end - at < CODE_AT_ONCE ? m->end - at : CODE_AT_ONCE;
        if (!memory_read(memory, at, code, size)) break;
        machine_gadgets_find(g, code, size, at);
        if (g->call && g->resume) break;
    }
    free(code);
}

/* In files only: what the program writes at run time may be gone before it is used. */
bool freeze_find_gadgets(struct machine_gadgets *g, const struct memory *memory,
                         const struct maps *maps)
{
    *g = (struct machine_gadgets){0};
    for (int libc = 1; libc >= 0; libc--) {
        for (size_t i = 0; i < maps->count && !(g->call && g->resume); i++) {
            const struct mapping *m = &maps->list[i];
            if (m->executable && !m->writable && m->inode != 0 &&
                (strstr(m->path, "libc") != NULL) == libc)
                search_code(g, memory, m);
        }
    }
    return g->call && g->resume;
}

/* On a stack that ends in a guard, or the kernel's own, nothing but dead frames lies below the stack
 * pointer. A stack that the program made within other memory is not touched. */
bool freeze_has_room(const struct maps *maps, uint64_t stack_pointer, uint64_t bytes)
{
    const struct mapping *m = maps_find(maps, stack_pointer);
    if (!m || !m->writable || m->shared || stack_pointer - m->start < bytes) return false;
    if (strcmp(m->path, "[stack]") == 0) return true;
    const struct mapping *below = m == maps->list ? NULL : m - 1;
    return m->inode == 0 && below && below->end == m->start && !below->readable && !below->writable;
}

/* Whether a filter might answer the call with a signal, or a shadow stack our return. */
bool freeze_is_confined(pid_t pid, pid_t tid)
{
    struct file_text status;
    uint64_t seccomp = 1;
    if (!status_read(&status, pid, tid)) return true;
    if (!field_number(status.data, status.size, "Seccomp", &seccomp)) seccomp = 0;
    bool shadow = strstr(status.data, "shstk") != NULL;
    free(status.data);
    return seccomp != 0 || shadow;
}

static const struct frozen_thread *choose_thread(const struct freeze *f, const struct maps *maps)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct frozen_thread *t = &f->threads[i];
        if (t->trapped && freeze_has_room(maps, t->registers.stack_pointer, MACHINE_ROOM) &&
            !freeze_is_confined(f->pid, t->tid))
            return t;
    }
    return NULL;
}

static bool any_standing(const struct freeze *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (!f->threads[i].trapped && f->threads[i].signal == 0) return true;
    }
    return false;
}

/* The child's first stop; until then its memory is not to be read. */
static bool await_child(struct freeze *f, pid_t child)
{
    int status;
    if (waitpid(child, &status, __WALL) != child || !WIFSTOPPED(status)) return false;
    f->child = child;
    return true;
}

bool freeze_clone(struct freeze *f, const struct maps *maps)
{
    struct process_memory context;
    struct memory memory = memory_of(&context, f->pid);
    const struct frozen_thread *t = choose_thread(f, maps);
    bool done = false;
    if (freeze_is_confined(f->pid, f->pid))
        refuse_clone(f, "it runs under seccomp or a shadow stack, where a fork could end it");
    else if (any_standing(f))
        refuse_clone(f, "it was stopped already");
    else if (!t)
        refuse_clone(f, "no thread stands on a stack that a fork can be made from");
    else if (!freeze_find_gadgets(&f->gadgets, &memory, maps))
        refuse_clone(f, "it has no instruction that a fork can be made with");
    else {
        struct machine_call call = {.tid = t->tid,
                                    .memory = &memory,
                                    .gadgets = &f->gadgets,
                                    .registers = &t->registers,
                                    .number = SYS_clone,
                                    .clone = true};
        /* Descriptors are shared, so that what the process closes meanwhile is closed. */
        call.argument[0] = CLONE_FILES | CLONE_FS;
        done =
            machine_call(&call) && call.result > 0 && call.child > 0 && await_child(f, call.child);
        f->child_inside = call.result;
        if (!done && call.child > 0) kill(call.child, SIGKILL);
        if (!done)
            snprintf(f->fallback, sizeof f->fallback, "its fork was refused (%s)",
                     strerror(call.result < 0 ? (int)-call.result : ESRCH));
    }
    memory_finish(&context);
    return done;
}

/* ---- reaping -------------------------------------------------------------------------------- */

static bool reap_by(const struct freeze_reaping *r, const struct freeze *f,
                    const struct frozen_thread *t)
{
    if (!t->trapped || !freeze_has_room(&r->maps, t->registers.stack_pointer, MACHINE_ROOM) ||
        freeze_is_confined(f->pid, t->tid))
        return false;
    struct machine_call call = {.tid = t->tid,
                                .memory = &r->memory,
                                .gadgets = &f->gadgets,
                                .registers = &t->registers,
                                .number = SYS_wait4};
    call.argument[0] = (uint64_t)f->child_inside;
    call.argument[2] = (uint64_t)(unsigned)(__WALL | WNOHANG);
    return machine_call(&call) && call.result == f->child_inside;
}

/* Its parent may have become another program: then the maps are new. */
void freeze_reap_prepare(struct freeze_reaping *r, struct freeze *f)
{
    *r = (struct freeze_reaping){0};
    r->memory = memory_of(&r->context, f->pid);
    r->possible =
        maps_read(&r->maps, f->pid) && freeze_find_gadgets(&f->gadgets, &r->memory, &r->maps);
}

/* Its parent may have ended: then init does it. */
void freeze_reap(const struct freeze_reaping *r, struct freeze *f)
{
    bool reaped = !r->possible || kill(f->child, 0) != 0;
    for (size_t i = 0; !reaped && i < f->count; i++) reaped = reap_by(r, f, &f->threads[i]);
}

void freeze_reap_finish(struct freeze_reaping *r)
{
    maps_finish(&r->maps);
    memory_finish(&r->context);
}
