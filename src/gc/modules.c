/*
 * Modules: static data of the program and its libraries, of which the dynamic linker has the list.
 *
 * What is unmapped by dlclose must not be read, so static data is searched inside the callback of
 * dl_iterate_phdr, where the linker holds the lock that dlclose takes. A thread that stands may
 * hold that lock; so who stops threads has it before they stand (modules_hold), and only then takes
 * the world lock: in this order everywhere. A cycle does not stop anybody, and lets go of the lock
 * after each part.
 *
 * What is loaded while a cycle goes through the list is not missed: threads remember all that they
 * store to it. In a child of fork the linker's lock would stay with a thread that is not there; so
 * nobody has it across a fork (the gate).
 *
 * Code that objects need as long as they live, trace functions and finalizers, must not go: its
 * module is told to stay (modules_keep).
 *
 * Rejected: a list of segments read before threads stand (a module may go in between);
 * process_vm_readv, which fails instead of faulting (a copy of all static data, and refused by
 * sandboxes).
 */
#include <dlfcn.h>
#include <link.h>

#include "gc/event.h"
#include "gc/index.h"
#include "gc/roots.h"
#include "gc/thread.h"
#include "os/os.h"

#define FORKING (1u << 31)

static _Atomic uint32_t gate; /* how many are at the list, or FORKING */

void modules_enter(void)
{
    for (;;) {
        uint32_t seen = LOAD(&gate);
        if (seen == FORKING)
            os_wait_long(&gate, FORKING);
        else if (atomic_compare_exchange_weak(&gate, &seen, seen + 1))
            return;
    }
}

void modules_leave(void)
{
    atomic_fetch_sub(&gate, 1);
}

bool modules_fork_prepare(void)
{
    uint32_t nobody = 0;
    return atomic_compare_exchange_strong(&gate, &nobody, FORKING);
}

void modules_fork_end(void)
{
    STORE_RELEASE(&gate, 0);
    os_wake(&gate);
}

struct hold {
    modules_fn *function;
    void *data;
};

/* For the first module, with the linker's lock. */
static int hold_call(struct dl_phdr_info *info, size_t size, void *data)
{
    struct hold *hold = data;
    struct gc_thread *self = gc_local.thread;
    (void)info;
    (void)size;
    if (self) self->busy++; /* as long as it has the lock: it must not be suspended with it */
    thread_wait_over();
    hold->function(hold->data);
    return 1;
}

/* Who waits for the lock is SAFE meanwhile: it holds up nobody who has it, even where signals are
 * kept back from threads that wait in libc (the thread sanitizer). */
void modules_hold(modules_fn *function, void *data)
{
    struct hold hold = {function, data};
    struct gc_thread *self = gc_local.thread;
    thread_wait_begin();
    modules_enter();
    dl_iterate_phdr(hold_call, &hold);
    modules_leave();
    if (self) thread_leave(self);
}

/* A part of a segment. */
struct part {
    struct fh_gc_visitor *visitor;
    uintptr_t done; /* what lies below has been visited */
    uintptr_t start, end;
};

/* The lowest address that is left. */
static int part_find(struct dl_phdr_info *info, size_t size, void *data)
{
    struct part *part = data;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_W)) continue;
        uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        start = base_max(start, part->done);
        if (start >= end || start >= part->start) continue;
        part->start = start;
        part->end = end;
    }
    return 0;
}

/* The linker's lock can be taken by its holder again. */
static void part_visit(void *data)
{
    struct part *part = data;
    part->start = UINTPTR_MAX;
    dl_iterate_phdr(part_find, part);
    if (part->start == UINTPTR_MAX) return;
    /* No word lies in two parts, and so in none: segments may begin anywhere. */
    part->done = base_min(part->end, base_round_up(part->start + ROOTS_PART, sizeof(void *)));
    visit_words(part->visitor, part->start, part->done);
}

void modules_visit(struct fh_gc_visitor *visitor)
{
    struct part part = {visitor, 0, 0, 0};
    while (part.start != UINTPTR_MAX) modules_hold(part_visit, &part);
}

/* ---- code that stays ------------------------------------------------------------------------- */

/* Not there in a static program, which unloads nothing; dlopen by its name, since linkers warn of
 * it there. */
#pragma weak dladdr1
#pragma weak dlclose
#pragma weak dlsym

typedef void *dlopen_fn(const char *path, int flags);

static bool module_keep(const void *code, dlopen_fn *open)
{
    Dl_info info;
    struct link_map *map;
    if (!dladdr1(code, &info, (void **)&map, RTLD_DL_LINKMAP)) return true;
    if (map->l_name[0] == 0) return true; /* the program's own */
    void *handle = open(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    if (handle) dlclose(handle);
    return handle;
}

/* What stays is remembered, by address: to ask the linker takes microseconds. */
void modules_keep(const void *code)
{
    static const void *_Atomic known[256];
    const void *_Atomic *place = &known[address_hash(code) % 256];
    if (LOAD(place) == code || !dladdr1 || !dlclose || !dlsym) return;
    int error = errno;
    bool waits = thread_wait_begin();
    modules_enter();
    dlopen_fn *open = (dlopen_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "dlopen");
    bool kept = !open || module_keep(code, open);
    modules_leave();
    if (waits) thread_wait_over();
    errno = error;
    if (!kept)
        gc_say(
            "a module with a trace function or finalizer cannot be kept: it must not be unloaded");
    STORE(place, code);
}
