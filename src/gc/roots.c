/*
 * Roots: where marking begins. Stacks and registers of attached threads and static data (modules.c)
 * are searched word by word; what programs register, handles and shadow stacks are exact.
 *
 * While a cycle takes its snapshot the lists change: they are gone through from the end, so that
 * what a removal moves down has been visited, a part at a time with heap->lock; and what is added
 * is shaded by who adds it. The memory of a root is not read any more when fh_gc_root_remove has
 * returned.
 */
#include <string.h>

#include "gc/barrier.h"
#include "gc/call.h"
#include "gc/heap.h"
#include "gc/roots.h"
#include "gc/weak.h"
#include "os/os.h"

/* ---- threads --------------------------------------------------------------------------------- */

static void visit_frames(struct fh_gc_visitor *visitor, struct fh_gc_frame *frame)
{
    for (; frame; frame = frame->outer)
        for (size_t i = 0; i < frame->count; i++) visitor->slot(visitor, frame->slots[i]);
}

/* A registered range that is the stack which a thread is on: from its pointer up. */
static void visit_foreign_stack(struct gc_heap *heap, struct fh_gc_visitor *visitor,
                                uintptr_t pointer)
{
    gc_lock_take(&heap->lock);
    for (size_t i = 0; i < heap->roots.count; i++) {
        const struct root_range *root = vector_at(&heap->roots, i);
        if (root->trace || root->exact || pointer - root->start >= root->size) continue;
        visit_words(visitor, pointer, root->start + root->size);
        break;
    }
    lock_give(&heap->lock);
}

/* The thread stands, or is the caller, whose stack is published too. */
void roots_visit_stack(struct gc_thread *thread, struct fh_gc_visitor *visitor)
{
    visit_words(visitor, (uintptr_t)thread->registers,
                (uintptr_t)(thread->registers + thread->register_count));
    visit_words(visitor, thread->signal_low, thread->signal_high);
    visit_words(visitor, (uintptr_t)thread->will_store, (uintptr_t)(thread->will_store + 2));
    uintptr_t pointer = thread->stack_pointer;
    if (pointer < thread->stack_low || pointer >= thread->stack_high) {
        visit_foreign_stack(visitor->heap, visitor, pointer);
        pointer = thread->stack_left ? thread->stack_left : thread->stack_low;
    }
    visit_words(visitor, pointer, thread->stack_high);
}

void roots_visit_thread(struct gc_thread *thread, struct fh_gc_visitor *visitor)
{
    visitor->from = NULL;
    visit_frames(visitor, thread->frames);
    if (visitor->heap->options.exact_stacks) return;
    roots_visit_stack(thread, visitor);
    visit_words(visitor, thread->tls_low, thread->tls_high);
}

/* ---- registered ------------------------------------------------------------------------------ */

struct fh_gc_handle {
    void *object; /* free: the next free one */
    struct gc_heap *heap;
};

struct pin {
    void *object;
    size_t count;
};

/* A part of a root, from `offset` on; returns where the next begins, 0 after the last. It ends
 * between two words also where the root does not begin at a multiple of eight: a word that is in no
 * part whole is lost. */
static uintptr_t root_visit_part(const struct root_range *root, struct fh_gc_visitor *visitor,
                                 uintptr_t offset)
{
    uintptr_t part = base_round_up(root->start + offset + ROOTS_PART / 4, sizeof(void *));
    uintptr_t end = base_min(root->size, part - root->start);
    if (root->trace)
        root->trace((void *)root->start, 0, visitor);
    else if (root->exact)
        for (uintptr_t at = offset; at < end; at += sizeof(void *))
            visitor->slot(visitor, (void **)(root->start + at));
    else
        visit_words(visitor, root->start + offset, root->start + end);
    return root->trace || end == root->size ? 0 : end;
}

static void visit_ranges(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    uint64_t number = 0; /* of the root that has been visited up to offset */
    uintptr_t offset = 0;
    for (size_t left = SIZE_MAX; left > 0;) {
        gc_lock_take(&heap->lock);
        left = base_min(left, heap->roots.count);
        if (left > 0) {
            const struct root_range *root = vector_at(&heap->roots, left - 1);
            offset = root_visit_part(root, visitor, root->number == number ? offset : 0);
            number = root->number;
            left -= offset == 0;
        }
        lock_give(&heap->lock);
    }
}

static void visit_handles(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    bool more = true;
    for (size_t i = 0; more;) {
        gc_lock_take(&heap->lock);
        size_t end = base_min(i + SOME, heap->handles.count);
        for (; i < end; i++) {
            struct fh_gc_handle *handle = vector_at(&heap->handles, i);
            if (handle->heap) visitor->slot(visitor, &handle->object);
        }
        more = end < heap->handles.count;
        lock_give(&heap->lock);
    }
}

static void visit_pins(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    for (size_t left = SIZE_MAX; left > 0;) {
        gc_lock_take(&heap->lock);
        left = base_min(left, heap->pins.count);
        for (unsigned i = 0; i < SOME && left > 0; i++) {
            struct pin *pin = vector_at(&heap->pins, --left);
            visit_words(visitor, (uintptr_t)&pin->object, (uintptr_t)(&pin->object + 1));
        }
        lock_give(&heap->lock);
    }
}

void roots_visit(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    for (struct gc_thread *t = gc_threads; t; t = t->next) roots_visit_thread(t, visitor);
    roots_visit_shared(heap, visitor);
}

void roots_visit_shared(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    visitor->from = NULL;
    visit_ranges(heap, visitor);
    visit_handles(heap, visitor);
    visit_pins(heap, visitor);
    weak_visit_queue(heap, visitor);
    if (!heap->options.no_static_data) modules_visit(visitor);
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

static bool roots_matter(const struct gc_heap *heap)
{
    uint32_t phase = LOAD(&heap->phase);
    return phase == PHASE_ARMED || phase == PHASE_MARKING;
}

/* A root that comes while a snapshot is taken may come too late to be visited; and what one that
 * goes refers to may be on a stack that was searched already, if it was the stack of a
 * coroutine. */
static void root_shade(struct gc_heap *heap, struct gc_thread *thread,
                       const struct root_range *root)
{
    if (!roots_matter(heap)) return;
    struct root_shading shading = {{shade_slot, shade_tagged, shade_range, heap, NULL, NULL},
                                   mutator_of(thread, heap)};
    for (uintptr_t at = 0; (at = root_visit_part(root, &shading.visitor, at));) {
    }
}

static int root_add(struct gc_heap *heap, struct root_range root)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    struct root_range *entry = vector_add(&heap->roots);
    root.number = ++heap->roots_added;
    if (entry) *entry = root;
    lock_give(&heap->lock);
    if (entry) root_shade(heap, thread, &root);
    thread_leave(thread);
    return entry ? 0 : -ENOMEM;
}

/* Whether p is in the memory of the heap's blocks and large objects. */
static bool heap_holds(const struct gc_heap *heap, const void *p)
{
    struct gc_block *block = side_holds((uintptr_t)p) ? (struct gc_block *)span_find(p) : NULL;
    uint8_t kind = block ? LOAD(&block->kind) : 0;
    return (kind == FH_SPAN_GC_BLOCK || kind == FH_SPAN_GC_LARGE) && LOAD(&block->owner) == heap;
}

GC_PUBLIC int fh_gc_root_add(struct fh_gc_heap *heap, void *slots, size_t count)
{
    if (heap_holds(heap_of(heap), slots)) return -EINVAL;
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

GC_PUBLIC int fh_gc_root_remove(struct fh_gc_heap *public, const void *start)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    struct root_range removed;
    int result = -ENOENT;
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    for (size_t i = heap->roots.count; i-- > 0 && result != 0;) {
        struct root_range *root = vector_at(&heap->roots, i);
        if (root->start != (uintptr_t)start) continue;
        removed = *root;
        vector_remove(&heap->roots, i);
        result = 0;
    }
    lock_give(&heap->lock);
    if (result == 0) root_shade(heap, thread, &removed);
    thread_leave(thread);
    return result;
}

/* ---- handles --------------------------------------------------------------------------------- */

GC_PUBLIC struct fh_gc_handle *fh_gc_handle_new(struct fh_gc_heap *public, void *object)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    gc_lock_take(&heap->lock);
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
    if (heap == NULL) program_misused("a handle is freed twice; stopping");
    struct gc_thread *thread = thread_self();
    fh_gc_store(&heap->public, &handle->object, NULL);
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    handle->heap = NULL;
    handle->object = heap->free_handle;
    heap->free_handle = handle;
    lock_give(&heap->lock);
    thread_leave(thread);
}

/* ---- pins ------------------------------------------------------------------------------------ */

GC_PUBLIC int fh_gc_pin(struct fh_gc_heap *public, void *object)
{
    struct gc_heap *heap = heap_of(public);
    object = fh_gc_base(public, object);
    if (object == NULL) return -EINVAL;
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    struct pin *pin = index_find(&heap->pin_index, &heap->pins, object);
    if (pin == NULL && (pin = index_add(&heap->pin_index, &heap->pins, object))) pin->count = 0;
    if (pin) pin->count++;
    if (pin && roots_matter(heap)) shade(heap, mutator_of(thread, heap), object);
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
    gc_lock_take(&heap->lock);
    struct pin *pin = index_find(&heap->pin_index, &heap->pins, object);
    if (pin && LOAD(&heap->phase) != PHASE_IDLE) shade(heap, mutator_of(thread, heap), object);
    if (pin && --pin->count == 0) index_remove(&heap->pin_index, &heap->pins, object);
    lock_give(&heap->lock);
    thread_leave(thread);
    return pin ? 0 : -ENOENT;
}

void roots_finish(struct gc_heap *heap)
{
    vector_finish(&heap->roots);
    vector_finish(&heap->handles);
    vector_finish(&heap->pins);
    index_finish(&heap->pin_index);
    heap->free_handle = NULL;
}

void roots_init(struct gc_heap *heap)
{
    heap->roots.item = sizeof(struct root_range);
    heap->handles.item = sizeof(struct fh_gc_handle);
    heap->pins.item = sizeof(struct pin);
    index_init(&heap->pin_index);
    heap->blocks.item = heap->large.item = heap->young.item = sizeof(uint32_t);
    heap->snapshots.item = MAP_WORDS * sizeof(uint64_t);
    heap->remembered.item = sizeof(struct log_entry);
}
