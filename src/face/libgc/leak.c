/*
 * Leaks: while GC_find_leak is set, objects are to be freed by the program, and what a collection finds unreachable was
 * lost. It is told of once, by who comes next to where the program may be called, at the latest at the end of the
 * process, in the original's words; then it is freed.
 *
 *      found (threads stand) --> leaks, a root --(reported)--> freed
 *
 * What a lost object refers to is lost too, and found at the same time: so all unmarked objects are noted before the
 * first of them is kept. Links and finalizers do not exist in this mode, as in the original: the tables would drop
 * objects that nobody can free any more.
 *
 * Rejected: to look when objects are swept (a sweep looks at no object by itself).
 */
#include <string.h>

#include "base/format.h"
#include "face/libgc/libgc.h"
#include "gc/cycle.h"
#include "gc/mark.h"
#include "os/os.h"

enum { PRINTED_MOST = 40 }; /* of one collection; of the rest only how many there are */

static struct vector leaks = {.item = sizeof(void *)}; /* from leaks_next on; the tables' lock */
static size_t leaks_next;
static size_t leaks_unlisted; /* without memory for the list */
_Atomic bool leaks_wait;

/* ---- a collection --------------------------------------------------------------------------------------------- */

static bool leak_note(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    (void)granules;
    (void)data;
    if ((meta_load(meta) & META_STATE) == heap->mark || gc_is_freed(meta)) return true;
    void **leak = vector_add(&leaks);
    if (leak) *leak = meta_address(meta);
    if (leak == NULL) leaks_unlisted++;
    return true;
}

void leaks_find(struct gc_heap *heap)
{
    if (!GC_find_leak) return;
    size_t before = leaks.count;
    heap_each_object(heap, leak_note, NULL);
    for (size_t i = before; i < leaks.count; i++)
        marker_keep(&heap->marking_state->marker[0], *(void **)vector_at(&leaks, i));
    marking_drain(heap);
    if (leaks.count > leaks_next || leaks_unlisted) STORE(&leaks_wait, true);
}

/* Those of a collection before that nobody has reported yet. */
void leaks_visit(struct fh_gc_visitor *visitor)
{
    for (size_t i = leaks_next; i < leaks.count; i++) visitor->slot(visitor, vector_at(&leaks, i));
}

/* By whichever thread is first. */
static void watch_end_once(struct gc_heap *heap)
{
    enum { NOT_YET, ENDS, ENDED };
    static _Atomic uint32_t state;
    uint32_t not_yet = NOT_YET;
    if (atomic_compare_exchange_strong(&state, &not_yet, ENDS)) {
        watch_end(heap);
        STORE_RELEASE(&state, ENDED);
        os_wake(&state);
    }
    while (LOAD_ACQUIRE(&state) == ENDS) thread_wait(&state, ENDS);
}

/* An object in a block that somebody sweeps just then, or while the heap is being marked, is left to the next
 * collection by gc_free, and would be found lost: so all is swept before, nothing is marked beside the program, and as the
 * thread stays busy there is no other collection in between. */
void leaks_free(void *p)
{
    struct gc_heap *heap = libgc.heap;
    struct gc_thread *thread = thread_self();
    if (UNLIKELY(heap->options.policy == FH_GC_WATCHED)) watch_end_once(heap);
    thread_enter(thread);
    heap_sweep_all(heap);
    while (LOAD_ACQUIRE(&heap->sweeping)) base_pause();
    gc_free(heap, &libgc_local.freed, p);
    thread_leave(thread);
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

static void kind_name(char *name, size_t size, unsigned kind)
{
    static const char *const names[] = {"PTRFREE", "NORMAL", "UNCOLLECTABLE",
                                        "ATOMIC_UNCOLLECTABLE"};
    struct text t = {name, 0, size};
    text_str(&t, kind < KIND_FIRST ? names[kind] : "kind= ");
    if (kind >= KIND_FIRST) text_dec(&t, kind);
    text_end(&t);
}

static void leak_print(void *object)
{
    char name[40], line[200];
    struct text t = TEXT(line);
    size_t size;
    int kind = GC_get_kind_and_size(object, &size);
    kind_name(name, sizeof name, (unsigned)kind);
    if (debug_print(object, name)) return;
    bool atomic = kind == KIND_ATOMIC || kind == KIND_ATOMIC_UNCOLLECTABLE;
    text_str(&t, "object at ");
    text_hex(&t, (uintptr_t)object);
    text_str(&t, " of appr. ");
    text_dec(&t, size);
    text_str(&t, atomic ? " bytes (atomic)\n" : " bytes (composite)\n");
    os_write(log_settings.error, line, t.length);
}

static size_t leaks_waiting(size_t *unlisted)
{
    struct gc_thread *thread = libgc_lock();
    size_t count = leaks.count - leaks_next;
    *unlisted = leaks_unlisted;
    leaks_unlisted = 0;
    libgc_unlock(thread);
    return count;
}

/* NULL when there are none left. */
static void *leak_pop(void)
{
    struct gc_thread *thread = libgc_lock();
    void *object = leaks_next < leaks.count ? *(void **)vector_at(&leaks, leaks_next) : NULL;
    if (object) leaks_next++;
    if (leaks_next == leaks.count) {
        leaks_next = leaks.count = 0;
        STORE(&leaks_wait, false);
    }
    libgc_unlock(thread);
    return object;
}

static void count_print(const char *before, size_t count, const char *after)
{
    char line[120];
    struct text t = TEXT(line);
    text_str(&t, before);
    text_dec(&t, count);
    text_str(&t, after);
    os_write(log_settings.error, line, t.length);
}

static void leaks_print(void)
{
    size_t unlisted, count = leaks_waiting(&unlisted), printed = 0;
    if (count + unlisted == 0) return;
    count_print("Found ", count + unlisted, " leaked objects:\n");
    for (void *object; printed < count && (object = leak_pop()); printed++) {
        if (printed < PRINTED_MOST) leak_print(object);
        GC_free(object);
    }
    count += unlisted;
    if (count > PRINTED_MOST) count_print("and ", count - PRINTED_MOST, " more\n");
}

void leaks_report(void)
{
    static _Atomic bool reporting;
    if (gc_local.thread->busy || atomic_exchange(&reporting, true)) return;
    leaks_print();
    STORE_RELEASE(&reporting, false);
    if (!environment_aborts_on_leak) return;
    GC_on_abort("Leaked or smashed objects encountered");
    base_abort();
}

/* What only the last frames of `main` held is found too: they are gone. */
void leaks_at_exit(void)
{
    if (GC_find_leak && libgc.heap && !gc_local.blocking) GC_gcollect();
}
