/*
 * Disappearing links: words that are cleared when the object that they stand for is gone. The collector does not ask
 * what is in the word; programs hide the pointer there, or keep it where nobody looks. A short link is cleared before
 * finalizers are considered, a long one after.
 */
#include "face/libgc/libgc.h"
#include "gc/mark.h"

struct disappearing {
    void **slot;
    void *object; /* the table is in no root */
};

struct links {
    struct vector all; /* struct disappearing, by slot */
    struct index index;
};

static struct links links_short, links_long;

void boehm_links_init(void)
{
    links_short.all.item = links_long.all.item = sizeof(struct disappearing);
    index_init(&links_short.index);
    index_init(&links_long.index);
}

/* ---- a collection ---------------------------------------------------------------------------------------- */

/* From the end: what takes the place of one removed has been seen. */
static void links_drop(struct gc_heap *heap, struct links *links)
{
    for (size_t left = links->all.count; left-- > 0;) {
        struct disappearing *link = vector_at(&links->all, left);
        bool holds = mark_is_set(heap, (uintptr_t)link->slot);
        if (holds && mark_is_set(heap, (uintptr_t)link->object)) continue;
        if (holds) *link->slot = NULL;
        heap->stats.weak_cleared += holds;
        index_remove(&links->index, &links->all, link->slot);
    }
}

/* Of those cleared now the slots that finalizers keep are cleared all the same; the links in objects that go are
 * dropped with the long ones', when it is known which these are. */
void links_clear_short(struct gc_heap *heap)
{
    struct links *links = &links_short;
    for (size_t left = links->all.count; left-- > 0;) {
        struct disappearing *link = vector_at(&links->all, left);
        if (mark_is_set(heap, (uintptr_t)link->object)) continue;
        *link->slot = NULL;
        heap->stats.weak_cleared++;
        index_remove(&links->index, &links->all, link->slot);
    }
}

void links_clear_long(struct gc_heap *heap)
{
    links_drop(heap, &links_short); /* only those that lie in what goes are left to be dropped */
    links_drop(heap, &links_long);
}

/* ---- the door ---------------------------------------------------------------------------------------------- */

static int link_add(struct links *links, void **slot, const void *object)
{
    if ((uintptr_t)slot % sizeof(void *)) libgc_stop("a link that is not aligned; stopping");
    if (GC_find_leak) return GC_UNIMPLEMENTED;
    struct gc_thread *thread = libgc_lock();
    struct disappearing *link = index_find(&links->index, &links->all, slot);
    int result = link ? GC_DUPLICATE : GC_SUCCESS;
    if (link == NULL) link = index_add(&links->index, &links->all, slot);
    if (link == NULL)
        result = GC_NO_MEMORY;
    else
        link->object = (void *)object;
    libgc_unlock(thread);
    return result;
}

static int link_remove(struct links *links, void **slot)
{
    if ((uintptr_t)slot % sizeof(void *)) return 0;
    struct gc_thread *thread = libgc_lock();
    bool found = index_remove(&links->index, &links->all, slot);
    libgc_unlock(thread);
    return found;
}

/* May be called with the lock, by who holds it for a callback: its callers do not take it. */
static int link_move(struct links *links, void **from, void **to)
{
    int result = GC_SUCCESS;
    struct gc_thread *thread = libgc_lock();
    struct disappearing *link = index_find(&links->index, &links->all, from);
    if (link == NULL) {
        result = GC_NOT_FOUND;
    } else if (from != to && index_find(&links->index, &links->all, to)) {
        result = GC_DUPLICATE;
    } else if (from != to) {
        void *object = link->object;
        index_remove(&links->index, &links->all, from);
        link = index_add(&links->index, &links->all, to);
        if (link) link->object = object;
        if (link == NULL) result = GC_NO_MEMORY;
    }
    libgc_unlock(thread);
    return result;
}

GC_API int GC_general_register_disappearing_link(void **link, const void *object)
{
    return link_add(&links_short, link, object);
}

/* For the object that the link lies in. */
GC_API int GC_register_disappearing_link(void **link)
{
    void *base = GC_base((void *)link);
    if (base == NULL) libgc_stop("a disappearing link that lies in no object; stopping");
    return link_add(&links_short, link, base);
}

GC_API int GC_unregister_disappearing_link(void **link)
{
    return link_remove(&links_short, link);
}

GC_API int GC_move_disappearing_link(void **from, void **to)
{
    return link_move(&links_short, from, to);
}

GC_API int GC_register_long_link(void **link, const void *object)
{
    return link_add(&links_long, link, object);
}

GC_API int GC_unregister_long_link(void **link)
{
    return link_remove(&links_long, link);
}

GC_API int GC_move_long_link(void **from, void **to)
{
    return link_move(&links_long, from, to);
}
