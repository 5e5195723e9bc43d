/*
 * Sequences of the collector's calls. The first four bytes choose policy and debug modes, the heap being
 * verified around each collection; then each call is four bytes:
 *
 *     | what | slot | value | value |
 *
 * Half of them are steps of the model in gc/world.h, which compares what is reachable; the others go to what
 * the model does not use, on objects of their own in a few roots, each of which says whether it is whole.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <freehold/gc.h>

#include "gc/world.h"
#include "kit/expect.h"

enum { CALLS_MAX = 300, SLOTS = 16 };

struct item {
    struct item *next, *other;
    uint64_t check;
    uint64_t bytes;
};
FH_GC_TYPE(item, next, other)

#define CHECK 0x1de3a11ca7e5ull

static struct fh_gc_heap *heap;
static bool exact;

static struct {
    struct item *item[SLOTS];
    struct fh_gc_table *table;
} root;
static unsigned pins[SLOTS];
static struct fh_gc_handle *handle[SLOTS];
static struct item *linked[SLOTS];
static unsigned parked, ramps;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void item_check(const struct item *item)
{
    if (item) EXPECT(item->check == CHECK, "item %p is not whole", (const void *)item);
}

/* ---- calls ------------------------------------------------------------------------------------------------ */

static void item_put(unsigned slot, struct item *item, size_t bytes)
{
    EXPECT(item || errno == ENOMEM, "errno %d", errno);
    if (item == NULL || pins[slot]) return;
    item->check = CHECK;
    item->bytes = bytes;
    fh_gc_store(heap, &root.item[slot], item);
}

static void item_make(unsigned slot, unsigned how, size_t value)
{
    size_t bytes = sizeof(struct item) + value;
    switch (how % 5) {
    case 0: item_put(slot, fh_gc_new(heap, item), sizeof(struct item)); break;
    case 1:
        item_put(slot, fh_gc_new_array(heap, item, 1 + value % 3000), sizeof(struct item));
        break;
    case 2: item_put(slot, fh_gc_new_words(heap, bytes), bytes); break;
    case 3: item_put(slot, fh_gc_new_words(heap, bytes << value % 4), bytes); break;
    default:
        item_put(slot, fh_gc_allocate_aligned(heap, FH_GC_WORDS, bytes, (size_t)16 << value % 9),
                 bytes);
    }
}

static void item_link(unsigned slot, size_t value)
{
    struct item *item = root.item[slot];
    if (item == NULL) return;
    struct item *to = root.item[value % SLOTS];
    if (value & 256)
        fh_gc_store(heap, &item->next, to);
    else
        fh_gc_store_range(heap, &item->next, &(struct item *[]){to, item}[0], 2 * sizeof(void *));
}

static void table_use(unsigned slot, size_t value)
{
    struct item *key = root.item[slot], *other = root.item[value % SLOTS];
    if (root.table == NULL) {
        struct fh_gc_table *table = fh_gc_table_new(heap);
        if (table) fh_gc_store(heap, &root.table, table);
        return;
    }
    if (key && value & 256) (void)fh_gc_table_set(heap, root.table, key, other);
    if (value & 512) (void)fh_gc_table_remove(heap, root.table, key);
    item_check(fh_gc_table_get(heap, root.table, root.item[slot], NULL));
    void *k, *v;
    for (size_t at = 0; fh_gc_table_next(heap, root.table, &at, &k, &v);) {
        item_check(k);
        item_check(v);
    }
}

static void pin_use(unsigned slot, bool more)
{
    if (root.item[slot] == NULL) return;
    if (more && fh_gc_pin(heap, root.item[slot]) == 0) pins[slot]++;
    if (more || pins[slot] == 0) return;
    EXPECT(fh_gc_unpin(heap, root.item[slot]) == 0, "unpin");
    pins[slot]--;
}

static void handle_use(unsigned slot, size_t value)
{
    if (handle[slot]) item_check(fh_gc_handle_get(handle[slot]));
    if (value % 3 == 0) {
        fh_gc_handle_free(handle[slot]);
        handle[slot] = NULL;
    } else if (handle[slot]) {
        fh_gc_handle_set(handle[slot], root.item[value % SLOTS]);
    } else {
        handle[slot] = fh_gc_handle_new(heap, root.item[value % SLOTS]);
    }
}

static void link_use(unsigned slot, size_t value)
{
    item_check(linked[slot]);
    if (linked[slot] && value % 2) {
        EXPECT(fh_gc_link_remove(heap, &linked[slot]) == 0, "no link");
        linked[slot] = NULL;
    } else if (linked[slot] == NULL && root.item[slot]) {
        if (fh_gc_link_add(heap, &linked[slot], root.item[slot]) == 0)
            linked[slot] = root.item[slot];
    }
}

/* Any word at all may be asked about. */
static void questions(unsigned slot, size_t value)
{
    char text[200];
    const char *p = root.item[slot] ? (char *)root.item[slot] + value : (char *)(value << 20);
    const char *base = fh_gc_base(heap, p);
    EXPECT(base == NULL || (base <= p && p < base + fh_gc_size(heap, p)), "%p is not in %p", p,
           base);
    EXPECT((base == NULL) == (fh_gc_type_of(heap, p) == NULL), "the type of %p", p);
    if (root.item[slot])
        EXPECT(fh_gc_size(heap, root.item[slot]) >= root.item[slot]->bytes, "size");
    if (value % 16 == 0) (void)fh_gc_why_alive(heap, p, text, sizeof text);
}

static bool count(void *object, size_t size, const struct fh_gc_type *type, void *data)
{
    EXPECT(object && type && size > 0, "an object");
    return ++*(size_t *)data < 1000;
}

static bool edge(void *from, void *to, void *data)
{
    EXPECT(from && to, "an edge");
    return ++*(size_t *)data < 1000;
}

static void walks(unsigned slot, size_t value)
{
    size_t n = 0;
    if (value % 3 == 0) fh_gc_walk(heap, count, &n);
    if (value % 3 == 1) fh_gc_walk_roots(heap, edge, &n);
    if (value % 3 == 2 && root.item[slot]) fh_gc_walk_references(heap, root.item[slot], edge, &n);
}

static void control(size_t value)
{
    switch (value % 10) {
    case 0: fh_gc_park(heap), parked++; break;
    case 1:
        if (parked) fh_gc_release(heap), parked--;
        break;
    case 2: fh_gc_ramp_begin(heap), ramps++; break;
    case 3:
        if (ramps) fh_gc_ramp_end(heap), ramps--;
        break;
    case 4: (void)fh_gc_step(heap, value / 10); break;
    case 5: fh_gc_collect(heap, FH_GC_MINOR); break;
    case 6: fh_gc_collect(heap, FH_GC_FULL); break;
    case 7: fh_gc_collect(heap, FH_GC_COMPACT); break;
    case 8: fh_gc_external(heap, (ptrdiff_t)value << 8); break;
    default: EXPECT(fh_gc_verify(heap) == 0, "verify");
    }
}

/* Its exact stack is empty here. */
static void thread_use(size_t value)
{
    if (value % 2) fh_gc_safepoint();
    if (value % 2 == 0) EXPECT(fh_gc_thread_detach() == 0, "detach");
    EXPECT(fh_gc_thread_attach() == 0, "attach");
}

static void call(struct world *world, const uint8_t *bytes)
{
    unsigned slot = bytes[1] % SLOTS;
    size_t value = bytes[2] | (size_t)bytes[3] << 8;
    item_check(root.item[slot]);
    switch (bytes[0] % 24) {
    case 0: item_make(slot, bytes[1] / SLOTS, value); break;
    case 1: item_link(slot, value); break;
    case 2: table_use(slot, value); break;
    case 3: pin_use(slot, value % 2); break;
    case 4: handle_use(slot, value); break;
    case 5: link_use(slot, value); break;
    case 6: questions(slot, value); break;
    case 7: walks(slot, value); break;
    case 8: control(value); break;
    case 9: thread_use(value); break;
    case 10:
        if (pins[slot] == 0) fh_gc_store(heap, &root.item[slot], NULL);
        break;
    case 11: (void)fh_gc_limit_set(heap, value << 12); break;
    default: world_steer(world, bytes[1], value);
    }
}

/* ---- one input ----------------------------------------------------------------------------------------------- */

static bool heap_make(const uint8_t *bytes)
{
    struct fh_gc_options options = {
        .policy = bytes[0] % 3,
        .sizing = bytes[0] / 3 % 2 * FH_GC_ADAPTIVE,
        .debug = FH_GC_VERIFY | (bytes[1] & (FH_GC_POISON | FH_GC_MOVE_ALL)),
        .stress = bytes[2] % 4 ? 0 : 1 + bytes[2],
        .markers = 1 + bytes[3] % 2,
        .initial = 1 << 20,
        .no_static_data = true,
        .exact_stacks = bytes[0] % 3 != FH_GC_CONCURRENT,
    };
    heap = fh_gc_create(&options);
    EXPECT(heap, "create");
    exact = options.exact_stacks;
    world_begin(heap, (struct world_rules){.exact = exact, .may_refuse = true});
    return fh_gc_root_add(heap, &root, sizeof root / sizeof(void *)) == 0;
}

static void heap_drop(struct world *world)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (linked[i]) EXPECT(fh_gc_link_remove(heap, &linked[i]) == 0, "no link");
        fh_gc_handle_free(handle[i]);
        linked[i] = NULL;
        handle[i] = NULL;
        for (; pins[i]; pins[i]--) EXPECT(fh_gc_unpin(heap, root.item[i]) == 0, "unpin");
    }
    for (; parked; parked--) fh_gc_release(heap);
    for (; ramps; ramps--) fh_gc_ramp_end(heap);
    EXPECT(fh_gc_limit_set(heap, 0) == 0, "limit");
    EXPECT(fh_gc_root_remove(heap, &root) == 0, "root");
    world_begin(heap, (struct world_rules){.exact = exact});
    world_check(world);
    EXPECT(fh_gc_verify(heap) == 0, "verify");
    world_destroy(world); /* with exact stacks nothing may be left */
    fh_gc_destroy(heap);
    memset(&root, 0, sizeof root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) return 0;
    EXPECT(heap_make(data), "root");
    struct world *world = world_create(size);
    for (size_t i = 4; i + 4 <= size && i < 4 * CALLS_MAX; i += 4) call(world, data + i);
    heap_drop(world);
    return 0;
}
