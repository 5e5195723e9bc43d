/*
 * Roots: where marking begins. Stacks and registers of attached threads and static data are searched
 * word by word; what programs register, handles and shadow stacks are exact.
 *
 * The list of modules is read while the program runs, since the dynamic linker has a lock that a thread
 * that stands may hold. A module that was loaded since then is not missed: its static data can refer to
 * objects only if a thread has run its code, and dlopen returned to it, before the threads stood; so
 * the list is read again in front of every collection, after the world lock was taken.
 */
#include <link.h>
#include <string.h>

#include "gc/mark.h"
#include "os/os.h"

/* ---- static data ------------------------------------------------------------------------------------ */

struct segment {
    uintptr_t start, end;
};

static struct vector segments = {.item = sizeof(struct segment)}; /* the world lock's */
static unsigned long long modules_added, modules_removed;
static bool segments_known;

static int segment_add(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)data;
    if (size >= offsetof(struct dl_phdr_info, dlpi_tls_modid)) {
        if (segments_known && info->dlpi_adds == modules_added &&
            info->dlpi_subs == modules_removed)
            return 1;
        if (info->dlpi_adds != modules_added || info->dlpi_subs != modules_removed)
            segments.count = 0;
        segments_known = false;
        modules_added = info->dlpi_adds;
        modules_removed = info->dlpi_subs;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_W)) continue;
        struct segment *segment = vector_add(&segments);
        if (segment == NULL) return 1;
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        *segment = (struct segment){start, start + header->p_memsz};
    }
    return 0;
}

void roots_refresh(struct gc_heap *heap)
{
    if (heap->options.no_static_data) return;
    dl_iterate_phdr(segment_add, NULL);
    segments_known = true;
}

/* ---- threads ------------------------------------------------------------------------------------------ */

static void visit_words(struct fh_gc_visitor *visitor, uintptr_t start, uintptr_t end)
{
    start = base_round_up(start, sizeof(void *));
    if (end > start)
        visitor->range(visitor, (const uintptr_t *)start, (end - start) / sizeof(void *));
}

static void visit_frames(struct fh_gc_visitor *visitor, struct fh_gc_frame *frame)
{
    for (; frame; frame = frame->outer)
        for (size_t i = 0; i < frame->count; i++) visitor->slot(visitor, frame->slots[i]);
}

/* The thread stands, or is the caller, whose stack is published too. */
void roots_visit_thread(struct gc_thread *thread, struct fh_gc_visitor *visitor, bool self)
{
    (void)self;
    visitor->from = NULL;
    visit_frames(visitor, thread->frames);
    if (visitor->heap->options.exact_stacks) return;
    visit_words(visitor, (uintptr_t)thread->registers,
                (uintptr_t)(thread->registers + thread->register_count));
    uintptr_t pointer = thread->stack_pointer;
    if (pointer < thread->stack_low || pointer > thread->stack_high) pointer = thread->stack_low;
    visit_words(visitor, pointer, thread->stack_high);
    visit_words(visitor, thread->tls_low, thread->tls_high);
}

/* ---- registered ------------------------------------------------------------------------------------------ */

struct fh_gc_handle {
    void *object; /* free: the next free one */
    struct gc_heap *heap;
};

struct pin {
    void *object;
    size_t count;
};

static void visit_registered(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    for (size_t i = 0; i < heap->roots.count; i++) {
        struct root_range *root = vector_at(&heap->roots, i);
        if (root->trace) {
            root->trace((void *)root->start, 0, visitor);
        } else if (root->exact) {
            for (uintptr_t at = 0; at < root->size; at += sizeof(void *))
                visitor->slot(visitor, (void **)(root->start + at));
        } else {
            visit_words(visitor, root->start, root->start + root->size);
        }
    }
    for (size_t i = 0; i < heap->handles.count; i++) {
        struct fh_gc_handle *handle = vector_at(&heap->handles, i);
        if (handle->heap) visitor->slot(visitor, &handle->object);
    }
    for (size_t i = 0; i < heap->pins.count; i++) {
        struct pin *pin = vector_at(&heap->pins, i);
        visit_words(visitor, (uintptr_t)&pin->object, (uintptr_t)(&pin->object + 1));
    }
}

void roots_visit(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    for (struct gc_thread *t = gc_threads; t; t = t->next) roots_visit_thread(t, visitor, false);
    roots_visit_shared(heap, visitor);
}

void roots_visit_shared(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    visitor->from = NULL;
    visit_registered(heap, visitor);
    weak_visit_queue(heap, visitor);
    if (heap->options.no_static_data) return;
    for (size_t i = 0; i < segments.count; i++) {
        struct segment *segment = vector_at(&segments, i);
        visit_words(visitor, segment->start, segment->end);
    }
}

static int root_add(struct gc_heap *heap, struct root_range root)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
    struct root_range *entry = vector_add(&heap->roots);
    if (entry) *entry = root;
    lock_give(&heap->lock);
    thread_leave(thread);
    return entry ? 0 : -ENOMEM;
}

GC_PUBLIC int fh_gc_root_add(struct fh_gc_heap *heap, void *slots, size_t count)
{
    if (slots == NULL || (uintptr_t)slots % sizeof(void *) || count > SIZE_MAX / sizeof(void *))
        return -EINVAL;
    return root_add(heap_of(heap), (struct root_range){.start = (uintptr_t)slots,
                                                       .size = count * sizeof(void *),
                                                       .exact = true});
}

GC_PUBLIC int fh_gc_root_range(struct fh_gc_heap *heap, const void *start, size_t size)
{
    if (start == NULL || (uintptr_t)start + size < (uintptr_t)start) return -EINVAL;
    return root_add(heap_of(heap), (struct root_range){.start = (uintptr_t)start, .size = size});
}

GC_PUBLIC int fh_gc_root_function(struct fh_gc_heap *heap, fh_gc_trace_fn *trace, void *data)
{
    if (trace == NULL) return -EINVAL;
    return root_add(heap_of(heap), (struct root_range){.start = (uintptr_t)data, .trace = trace});
}

struct root_shading {
    struct fh_gc_visitor visitor;
    struct mutator *mutator;
};

static void shade_slot(struct fh_gc_visitor *visitor, void **slot)
{
    shade(visitor->heap, ((struct root_shading *)visitor)->mutator, (void *)word_load(slot));
}

static void shade_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    shade(visitor->heap, ((struct root_shading *)visitor)->mutator,
          (void *)(word_load(slot) & mask));
}

static void shade_range(struct fh_gc_visitor *visitor, const uintptr_t *start, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (side_holds(word_load(start + i))) shade_slot(visitor, (void **)(start + i));
}

/* What a root that goes away refers to may be on a stack that was searched already: while a snapshot is
 * being taken it is kept. */
static void root_shade(struct gc_heap *heap, struct gc_thread *thread, struct root_range *root)
{
    uint32_t phase = LOAD(&heap->phase);
    if (phase != PHASE_ARMED && phase != PHASE_MARKING) return;
    struct root_shading shading = {{shade_slot, shade_tagged, shade_range, heap, NULL, NULL},
                                   mutator_of(thread, heap)};
    if (root->trace)
        root->trace((void *)root->start, 0, &shading.visitor);
    else
        visit_words(&shading.visitor, root->start, root->start + root->size);
}

GC_PUBLIC int fh_gc_root_remove(struct fh_gc_heap *public, const void *start)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    int result = -ENOENT;
    thread_enter(thread);
    lock_take(&heap->lock);
    for (size_t i = heap->roots.count; i-- > 0 && result != 0;) {
        struct root_range *root = vector_at(&heap->roots, i);
        if (root->start != (uintptr_t)start) continue;
        root_shade(heap, thread, root);
        vector_remove(&heap->roots, i);
        result = 0;
    }
    lock_give(&heap->lock);
    thread_leave(thread);
    return result;
}

/* ---- handles ------------------------------------------------------------------------------------------------ */

GC_PUBLIC struct fh_gc_handle *fh_gc_handle_new(struct fh_gc_heap *public, void *object)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
    struct fh_gc_handle *handle = heap->free_handle;
    if (handle)
        heap->free_handle = handle->object;
    else
        handle = vector_add(&heap->handles);
    if (handle) {
        slot_will_change(heap, thread, &handle->object, object);
        *handle = (struct fh_gc_handle){object, heap};
    }
    lock_give(&heap->lock);
    thread_leave(thread);
    if (handle == NULL) errno = ENOMEM;
    return handle;
}

GC_PUBLIC void *fh_gc_handle_get(const struct fh_gc_handle *handle)
{
    return handle->object;
}

GC_PUBLIC void fh_gc_handle_set(struct fh_gc_handle *handle, void *object)
{
    fh_gc_store(&handle->heap->public, &handle->object, object);
}

GC_PUBLIC void fh_gc_handle_free(struct fh_gc_handle *handle)
{
    if (handle == NULL) return;
    struct gc_heap *heap = handle->heap;
    if (heap == NULL) {
        gc_say("a handle is freed twice; stopping");
        base_abort();
    }
    struct gc_thread *thread = thread_self();
    fh_gc_store(&heap->public, &handle->object, NULL);
    thread_enter(thread);
    lock_take(&heap->lock);
    handle->heap = NULL;
    handle->object = heap->free_handle;
    heap->free_handle = handle;
    lock_give(&heap->lock);
    thread_leave(thread);
}

/* ---- pins ------------------------------------------------------------------------------------------------------ */

static struct pin *pin_find(struct gc_heap *heap, const void *object)
{
    for (size_t i = 0; i < heap->pins.count; i++) {
        struct pin *pin = vector_at(&heap->pins, i);
        if (pin->object == object) return pin;
    }
    return NULL;
}

GC_PUBLIC int fh_gc_pin(struct fh_gc_heap *public, void *object)
{
    struct gc_heap *heap = heap_of(public);
    object = fh_gc_base(public, object);
    if (object == NULL) return -EINVAL;
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
    struct pin *pin = pin_find(heap, object);
    if (pin == NULL && (pin = vector_add(&heap->pins))) *pin = (struct pin){object, 0};
    if (pin) pin->count++;
    lock_give(&heap->lock);
    thread_leave(thread);
    return pin ? 0 : -ENOMEM;
}

GC_PUBLIC int fh_gc_unpin(struct fh_gc_heap *public, void *object)
{
    struct gc_heap *heap = heap_of(public);
    object = fh_gc_base(public, object);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
    struct pin *pin = pin_find(heap, object);
    if (pin && LOAD(&heap->phase) != PHASE_IDLE) shade(heap, mutator_of(thread, heap), object);
    if (pin && --pin->count == 0)
        vector_remove(&heap->pins, (size_t)(pin - (struct pin *)heap->pins.base));
    lock_give(&heap->lock);
    thread_leave(thread);
    return pin ? 0 : -ENOENT;
}

void roots_finish(struct gc_heap *heap)
{
    vector_finish(&heap->roots);
    vector_finish(&heap->handles);
    vector_finish(&heap->pins);
    heap->free_handle = NULL;
}

void roots_init(struct gc_heap *heap)
{
    heap->roots.item = sizeof(struct root_range);
    heap->handles.item = sizeof(struct fh_gc_handle);
    heap->pins.item = sizeof(struct pin);
    heap->blocks.item = heap->large.item = heap->young.item = sizeof(uint32_t);
    heap->snapshots.item = MAP_WORDS * sizeof(uint64_t);
    heap->remembered.item = sizeof(struct log_entry);
}
