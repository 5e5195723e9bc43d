/*
 * Disappearing links: slots outside of what is traced, in memory of malloc or in leaf objects,
 * which are set to NULL when their target is dead. They are found by the slot's address through an
 * index (gc/index.h).
 *
 * The heap knows each link's target by itself, complemented, since the slot may hold it in a form
 * of the program's own. It writes NULL into a slot, and the new address when the target has moved,
 * and reads it for nothing else.
 */
#include "gc/call.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/weak.h"

struct weak_link {
    void **slot;
    uintptr_t hidden; /* the target, complemented: a conservative search must not find it */
};

/* True if it goes. */
static bool link_clear(struct gc_heap *heap, struct weak_link *link)
{
    bool slot = mark_is_set(heap, (uintptr_t)link->slot);
    if (slot && mark_is_set(heap, ~link->hidden)) return false;
    if (slot) __atomic_store_n(link->slot, NULL, __ATOMIC_RELAXED);
    heap->stats.weak_cleared += slot;
    return true;
}

void links_clear(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    struct vector *links = &weakness->links;
    gc_lock_take(&heap->lock);
    for (size_t left = links->count; left > 0; left = base_min(left - 1, links->count)) {
        struct weak_link *link = vector_at(links, left - 1);
        if (link_clear(heap, link)) index_remove(&weakness->link_index, links, link->slot);
        if (left % SOME == 0) lock_breathe(&heap->lock);
    }
    lock_give(&heap->lock);
}

GC_PUBLIC int fh_gc_link_add(struct fh_gc_heap *public, void *slot, void *target)
{
    struct gc_heap *heap = heap_of(public);
    if (slot == NULL || (uintptr_t)slot % sizeof(void *)) return -EINVAL;
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    struct gc_weakness *weakness = &heap->weakness;
    struct weak_link *link = index_find(&weakness->link_index, &weakness->links, slot);
    if (link == NULL) link = index_add(&weakness->link_index, &weakness->links, slot);
    if (link) link->hidden = ~(uintptr_t)target;
    lock_give(&heap->lock);
    thread_leave(thread);
    return link ? 0 : -ENOMEM;
}

GC_PUBLIC void *fh_gc_link_get(struct fh_gc_heap *public, void *slot)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    void *target = weak_read(heap_of(public), thread, slot, 0);
    thread_leave(thread);
    return target;
}

GC_PUBLIC int fh_gc_link_remove(struct fh_gc_heap *public, void *slot)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    bool found = index_remove(&heap->weakness.link_index, &heap->weakness.links, slot);
    lock_give(&heap->lock);
    thread_leave(thread);
    return found ? 0 : -ENOENT;
}

/* The slot may hold the target's address, plainly or complemented; nobody else looks into it. */
static void link_forward(const struct compaction *c, struct weak_link *link)
{
    uintptr_t target = ~link->hidden, to = compact_forward(c, target);
    link->slot = (void **)compact_forward(c, (uintptr_t)link->slot);
    link->hidden = ~to;
    if ((uintptr_t)*link->slot == target) *link->slot = (void *)to;
    if (~(uintptr_t)*link->slot == target) *link->slot = (void *)~to;
}

void links_forward(struct gc_heap *heap, const struct compaction *c)
{
    struct gc_weakness *weakness = &heap->weakness;
    for (size_t i = 0; i < weakness->links.count; i++)
        link_forward(c, vector_at(&weakness->links, i));
    index_rehash(&weakness->link_index, &weakness->links);
}

void links_init(struct gc_heap *heap)
{
    heap->weakness.links.item = sizeof(struct weak_link);
    index_init(&heap->weakness.link_index);
}

void links_finish(struct gc_heap *heap)
{
    vector_finish(&heap->weakness.links);
    index_finish(&heap->weakness.link_index);
}
