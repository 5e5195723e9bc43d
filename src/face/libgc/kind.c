/*
 * Kinds: what the ABI calls a way to allocate and to mark. Each is a type of gc/; the four that there always are
 * have the types of conservative and of leaf objects, so that the marker has no call to make. A kind of the program's
 * has a descriptor, a word that says where references are (gc_mark.h), perhaps by a procedure of the program's.
 *
 * A mark procedure gets the collector's visitor for the pointer to the mark stack, which it passes on to
 * GC_mark_and_push and returns: so procedures can run in several marking threads without asking who they are.
 */
#include <string.h>

#include "base/format.h"
#include "face/libgc/libgc.h"
#include "gc/mark.h"

struct GC_ms_entry;
typedef struct GC_ms_entry *mark_proc(GC_word *object, struct GC_ms_entry *top,
                                      struct GC_ms_entry *limit, GC_word environment);

enum { PROC_BITS = 6, PROCS = 1 << PROC_BITS, PROC_FIRST = 8 };

struct kind {
    struct fh_gc_type type;
    char name[16];
    GC_word descriptor;
    bool adds_size;
};

static struct kind kinds[KINDS];
static unsigned kind_count;
static mark_proc *procs[PROCS];
static unsigned proc_count = PROC_FIRST;

/* ---- descriptors ------------------------------------------------------------------------------------------ */

/* The highest bit is the first word. */
static void bitmap_visit(GC_word bits, uintptr_t *object, struct fh_gc_visitor *visitor)
{
    for (bits &= ~(GC_word)DS_TAGS; bits; bits <<= 1, object++)
        if (bits >> 63) visitor->range(visitor, object, 1);
}

static void proc_visit(GC_word descriptor, void *object, struct fh_gc_visitor *visitor)
{
    mark_proc *proc = procs[descriptor >> 2 & (PROCS - 1)];
    if (proc == NULL) libgc_stop("a descriptor names a mark procedure that there is not; stopping");
    called_begin("a mark procedure", (uintptr_t)proc, object);
    proc(object, (struct GC_ms_entry *)visitor, (struct GC_ms_entry *)UINTPTR_MAX,
         descriptor >> (2 + PROC_BITS));
    called_end();
}

/* The descriptor that is in the object, or before what its first word points to; 0: none yet. */
static GC_word descriptor_find(GC_word descriptor, const void *object)
{
    intptr_t offset = (intptr_t)(descriptor & ~(GC_word)DS_TAGS);
    if (offset >= 0) return *(const GC_word *)((const char *)object + offset);
    const char *table = *(const char *const *)object;
    return table ? *(const GC_word *)(table - offset - INDIRECT_BIAS) : 0;
}

void descriptor_visit(GC_word descriptor, void *object, size_t size, struct fh_gc_visitor *visitor)
{
    bool known = (descriptor & DS_TAGS) == DS_LENGTH || (descriptor & DS_TAGS) == DS_BITMAP;
    if (!known && visitor_defers(visitor, object)) return;
    if ((descriptor & DS_TAGS) == DS_PER_OBJECT) descriptor = descriptor_find(descriptor, object);
    switch (descriptor & DS_TAGS) {
    case DS_LENGTH:
        visitor->range(visitor, object, base_min(descriptor, size) / sizeof(void *));
        return;
    case DS_BITMAP: bitmap_visit(descriptor, object, visitor); return;
    case DS_PROC: proc_visit(descriptor, object, visitor); return;
    default: return;
    }
}

GC_API struct GC_ms_entry *GC_mark_and_push(void *object, struct GC_ms_entry *top,
                                            struct GC_ms_entry *limit, void **from)
{
    struct fh_gc_visitor *visitor = (struct fh_gc_visitor *)top;
    (void)limit;
    (void)from;
    visitor->range(visitor, (const uintptr_t *)&object, 1); /* any word at all */
    return top;
}

GC_API unsigned GC_new_proc_inner(mark_proc *proc)
{
    if (proc_count == PROCS) libgc_stop("there are too many mark procedures; stopping");
    procs[proc_count] = proc;
    return proc_count++;
}

GC_API unsigned GC_new_proc(mark_proc *proc)
{
    struct gc_thread *thread = libgc_lock();
    unsigned number = GC_new_proc_inner(proc);
    libgc_unlock(thread);
    return number;
}

void kind_set_proc(unsigned number, void *proc)
{
    if (number >= PROC_FIRST)
        libgc_stop("a mark procedure's number that is not reserved; stopping");
    procs[number] = (mark_proc *)proc;
}

/* ---- kinds ---------------------------------------------------------------------------------------------------- */

static const struct kind *kind_of(const struct fh_gc_type *type)
{
    return (const struct kind *)((const char *)type - offsetof(struct kind, type));
}

unsigned kind_of_type(const struct fh_gc_type *type)
{
    const struct kind *kind = kind_of(type);
    if (type == &fh_gc_type_bytes) return KIND_ATOMIC;
    if (kind < kinds || kind >= kinds + kind_count) return KIND_NORMAL;
    return (unsigned)(kind - kinds);
}

static void kind_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    const struct kind *kind = kind_of(type_at(meta_of(object))->public);
    descriptor_visit(kind->descriptor + (kind->adds_size ? size : 0), object, size, visitor);
}

/* Types of equal name and layout are one: so each has its own name. */
static void kind_fill(struct kind *kind, GC_word descriptor, bool adds_size)
{
    struct text t = TEXT(kind->name);
    text_str(&t, "kind ");
    text_dec(&t, (uint64_t)(kind - kinds));
    kind->name[t.length] = 0;
    kind->descriptor = descriptor;
    kind->adds_size = adds_size;
    kind->type = (struct fh_gc_type){.name = kind->name, .element = 1};
    if (descriptor == 0)
        kind->type.flags = adds_size ? FH_GC_CONSERVATIVE : FH_GC_LEAF;
    else
        kind->type.trace = kind_trace;
    fh_gc_type_register(&kind->type);
}

void kinds_init(void)
{
    kind_fill(&kinds[KIND_UNCOLLECTABLE], 0, true);
    kind_fill(&kinds[KIND_ATOMIC_UNCOLLECTABLE], 0, false);
    kind_count = KIND_FIRST;
}

struct fh_gc_type *kind_type(unsigned kind)
{
    if (kind == KIND_ATOMIC) return &fh_gc_type_bytes;
    if (kind == KIND_NORMAL) return &fh_gc_type_words;
    return kind < kind_count ? &kinds[kind].type : NULL;
}

bool type_is_uncollectable(const struct fh_gc_type *type)
{
    return type == &kinds[KIND_UNCOLLECTABLE].type ||
           type == &kinds[KIND_ATOMIC_UNCOLLECTABLE].type;
}

/* Objects of ours are always cleared, and lists of free ones are nobody's business. */
GC_API unsigned GC_new_kind_inner(void **list, GC_word descriptor, int adds_size, int clear)
{
    (void)list;
    (void)clear;
    libgc_heap();
    if (kind_count == KINDS) libgc_stop("there are too many kinds of objects; stopping");
    kind_fill(&kinds[kind_count], descriptor, adds_size);
    return kind_count++;
}

GC_API unsigned GC_new_kind(void **list, GC_word descriptor, int adds_size, int clear)
{
    struct gc_thread *thread = libgc_lock();
    unsigned number = GC_new_kind_inner(list, descriptor, adds_size, clear);
    libgc_unlock(thread);
    return number;
}

/* Programs get one to give to GC_new_kind, and do not look into it. */
GC_API void **GC_new_free_list_inner(void)
{
    static void *list[1];
    return list;
}

GC_API void **GC_new_free_list(void)
{
    return GC_new_free_list_inner();
}

GC_API void GC_register_describe_type_fn(int kind, void *describe)
{
    (void)kind; /* nothing here prints objects */
    (void)describe;
}
