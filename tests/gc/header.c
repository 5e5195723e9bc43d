/* All macros of the header that declare types: header.sh compiles it with every warning there is. */
#include <freehold/gc.h>

#define TEN(f) f##0, f##1, f##2, f##3, f##4, f##5, f##6, f##7, f##8, f##9
#define HUNDRED(f)                                                                                 \
    TEN(f##0), TEN(f##1), TEN(f##2), TEN(f##3), TEN(f##4), TEN(f##5), TEN(f##6), TEN(f##7),        \
        TEN(f##8), TEN(f##9)

struct node {
    struct node *left, *right;
};
FH_GC_TYPE(node, left, right)

struct link {
    struct link *next;
};
FH_GC_TYPE(link, next)

struct leaf {
    long value;
};
FH_GC_LEAF_TYPE(leaf)

struct items {
    long count;
    void *item[];
};
FH_GC_TRAILING(items, struct items, item)

struct named {
    struct node *name;
    void *item[];
};
FH_GC_TRAILING(named, struct named, item, name)

static void trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    (void)size;
    fh_gc_visit(visitor, &((struct node *)object)->left);
}
FH_GC_TRACED(traced, struct node, trace)

/* As many fields as the header promises. */
#define ALL HUNDRED(a), HUNDRED(b), HUNDRED(c), TEN(d0), TEN(d1), TEN(d2), TEN(d3)
#define TEN_POINTERS(f) *f##0, *f##1, *f##2, *f##3, *f##4, *f##5, *f##6, *f##7, *f##8, *f##9
#define HUNDRED_POINTERS(f)                                                                        \
    TEN_POINTERS(f##0), TEN_POINTERS(f##1), TEN_POINTERS(f##2), TEN_POINTERS(f##3),                \
        TEN_POINTERS(f##4), TEN_POINTERS(f##5), TEN_POINTERS(f##6), TEN_POINTERS(f##7),            \
        TEN_POINTERS(f##8), TEN_POINTERS(f##9)
struct wide {
    void HUNDRED_POINTERS(a), HUNDRED_POINTERS(b), HUNDRED_POINTERS(c);
    void TEN_POINTERS(d0), TEN_POINTERS(d1), TEN_POINTERS(d2), TEN_POINTERS(d3);
};
FH_GC_TYPE(wide, ALL)
_Static_assert(sizeof fh_gc_fields_wide == 340 * sizeof(struct fh_gc_field), "all of them");

void use(struct fh_gc_heap *heap);
void use(struct fh_gc_heap *heap)
{
    struct node *node = fh_gc_new(heap, node), *other = fh_gc_new(heap, traced);
    FH_GC_FRAME(node, other);
    struct items *items = fh_gc_new_trailing(heap, items, 3);
    struct named *named = fh_gc_new_trailing(heap, named, 3);
    fh_gc_store(heap, &items->item[0], fh_gc_new(heap, leaf));
    fh_gc_store(heap, &named->item[0], fh_gc_new(heap, link));
    fh_gc_init(heap, &node->left, fh_gc_new_array(heap, node, 2));
    fh_gc_store(heap, &other->left, node);
    (void)fh_gc_new(heap, wide);
}
