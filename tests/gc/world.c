/* See gc/world.h. */
#include "gc/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kit/expect.h"
#include "kit/random.h"

enum { ROOTS = 200, FIELDS_MAX = 40, WEAK = 64, NONE = -1 };

/* ---- objects: all begin with their number in the model ------------------------------------------------- */

struct pair {
    uint64_t number;
    void *field[2];
};
struct one {
    uint64_t number;
    void *field[1];
};
struct vec {
    uint64_t number;
    uint64_t unused;
    void *field[];
};
struct words {
    uint64_t number;
    void *field[5];
};
struct text {
    uint64_t number;
    char bytes[];
};
/* References tagged in the low bit and shifted: only its trace function knows. */
struct tagged {
    uint64_t number;
    uintptr_t field[3];
};

static void tagged_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    struct tagged *t = object;
    (void)size;
    for (int i = 0; i < 3; i++) fh_gc_visit_tagged(visitor, &t->field[i], ~(uintptr_t)7);
}

FH_GC_TYPE(one, field)
FH_GC_TYPE(pair, field)
FH_GC_TRAILING(vec, struct vec, field)
FH_GC_TRACED(tagged, struct tagged, tagged_trace)

enum kind { ONE, PAIR, VEC, BIG, HUGE, WORDS, TEXT, TAGGED, KINDS };

/* ---- the model --------------------------------------------------------------------------------------------- */

struct thing {
    enum kind kind;
    int fields;
    int field[FIELDS_MAX]; /* numbers of things */
    bool reached, finalizable, finalized;
};

struct weak {
    struct fh_gc_handle *handle; /* of the weak reference or ephemeron */
    int key, value;
    bool ephemeron, dead;
};

struct world {
    struct random random;
    struct thing *things;
    int count, capacity;
    void *root[ROOTS];
    int root_thing[ROOTS];
    struct weak weak[WEAK];
};

static struct fh_gc_heap *heap;
static struct world_rules rules;

void world_begin(struct fh_gc_heap *the_heap, struct world_rules the_rules)
{
    heap = the_heap;
    rules = the_rules;
}

/* What is not reachable must be gone after a full collection. */
static bool is_precise(void)
{
    return rules.exact && !rules.may_refuse;
}

/* Memory was refused: the step does not happen. */
static bool refused(bool failed)
{
    EXPECT(!failed || (rules.may_refuse && errno == ENOMEM), "memory is out: errno %d", errno);
    return failed;
}

static void **fields_of(void *object, enum kind kind)
{
    switch (kind) {
    case ONE: return ((struct one *)object)->field;
    case PAIR: return ((struct pair *)object)->field;
    case WORDS: return ((struct words *)object)->field;
    case TAGGED: return (void **)((struct tagged *)object)->field;
    default: return ((struct vec *)object)->field;
    }
}

static uint64_t number_of(const void *object)
{
    return *(const uint64_t *)object;
}

static void *object_new(enum kind kind, int fields, size_t bytes)
{
    switch (kind) {
    case ONE: return fh_gc_new(heap, one);
    case PAIR: return fh_gc_new(heap, pair);
    case TAGGED: return fh_gc_new(heap, tagged);
    case WORDS: return fh_gc_new_words(heap, sizeof(struct words));
    case TEXT: return fh_gc_new_bytes(heap, sizeof(struct text) + bytes);
    default: return fh_gc_new_trailing(heap, vec, (size_t)fields);
    }
}

/* More fields than the model follows: the rest stays NULL. */
static int fields_to_make(struct world *w, enum kind kind)
{
    if (kind == VEC) return 1 + (int)random_below(&w->random, FIELDS_MAX);
    if (kind == BIG) return 400 + (int)random_below(&w->random, 7000);
    if (kind == HUGE) return 9000 + (int)random_below(&w->random, 30000);
    return 0;
}

static int fields_followed(enum kind kind, int made)
{
    static const int fixed[KINDS] = {[ONE] = 1, [PAIR] = 2, [WORDS] = 5, [TAGGED] = 3};
    if (kind == TEXT) return 0;
    return kind == VEC ? made : kind == BIG || kind == HUGE ? FIELDS_MAX : fixed[kind];
}

static enum kind kind_pick(struct world *w)
{
    unsigned n = (unsigned)random_below(&w->random, 1000);
    if (n < 2) return HUGE;
    if (n < 12) return BIG;
    return n % 6 == 5 ? TAGGED : n % 6 == 4 ? TEXT : n % 6 == 3 ? WORDS : (enum kind)(n % 3);
}

static struct thing *thing_add(struct world *w, enum kind kind, int fields)
{
    if (w->count == w->capacity) {
        w->capacity = w->capacity ? w->capacity * 2 : 1024;
        w->things = realloc(w->things, (size_t)w->capacity * sizeof *w->things);
    }
    struct thing *thing = &w->things[w->count++];
    memset(thing, 0, sizeof *thing);
    thing->kind = kind;
    thing->fields = fields;
    for (int i = 0; i < FIELDS_MAX; i++) thing->field[i] = NONE;
    return thing;
}

/* ---- steps ------------------------------------------------------------------------------------------------------ */

static void root_set(struct world *w, int root, void *object, int thing)
{
    fh_gc_store(heap, &w->root[root], object);
    w->root_thing[root] = thing;
}

static int root_pick(struct world *w)
{
    return (int)random_below(&w->random, ROOTS);
}

static void step_new(struct world *w)
{
    enum kind kind = kind_pick(w);
    int made = fields_to_make(w, kind), followed = fields_followed(kind, made);
    size_t bytes = random_size(&w->random, 3000);
    uint64_t *object = object_new(kind, made, bytes);
    if (refused(object == NULL)) return;
    size_t words = fh_gc_size(heap, object) / 8;
    for (size_t i = 0; i < words; i++) EXPECT(object[i] == 0, "word %zu of a new object", i);
    *object = (uint64_t)w->count;
    if (kind == TEXT) memset(((struct text *)object)->bytes, 0x5a, bytes);
    root_set(w, root_pick(w), object, w->count);
    thing_add(w, kind, followed);
}

static void step_store(struct world *w)
{
    int from = root_pick(w), to = root_pick(w);
    if (w->root_thing[from] == NONE) return;
    struct thing *thing = &w->things[w->root_thing[from]];
    if (thing->fields == 0) return;
    int field = (int)random_below(&w->random, (uint64_t)thing->fields);
    char *value = random_chance(&w->random, 8) ? NULL : w->root[to];
    thing->field[field] = value ? w->root_thing[to] : NONE;
    if (value && thing->kind == TAGGED) value += 1 + random_below(&w->random, 7);
    fh_gc_store(heap, &fields_of(w->root[from], thing->kind)[field], value);
}

/* A root becomes what one of its fields refers to. */
static void step_follow(struct world *w)
{
    int from = root_pick(w);
    if (w->root_thing[from] == NONE) return;
    struct thing *thing = &w->things[w->root_thing[from]];
    if (thing->fields == 0) return;
    int field = (int)random_below(&w->random, (uint64_t)thing->fields);
    if (thing->field[field] == NONE) return;
    uintptr_t object = (uintptr_t)fields_of(w->root[from], thing->kind)[field];
    if (thing->kind == TAGGED) object &= ~(uintptr_t)7;
    EXPECT(number_of((void *)object) == (uint64_t)thing->field[field], "object %d is %lu",
           thing->field[field], (unsigned long)number_of((void *)object));
    root_set(w, random_chance(&w->random, 2) ? from : root_pick(w), (void *)object,
             thing->field[field]);
}

static void finalized(void *object, void *data)
{
    struct world *w = data;
    uint64_t number = number_of(object);
    EXPECT(number < (uint64_t)w->count, "finalizer of no object");
    EXPECT(!w->things[number].finalized, "object %lu is finalized twice", (unsigned long)number);
    w->things[number].finalized = true;
}

static void step_finalizer(struct world *w)
{
    int root = root_pick(w);
    /* With more threads, another one than this world's would run it. */
    if (w->root_thing[root] == NONE || !rules.exact) return;
    struct thing *thing = &w->things[w->root_thing[root]];
    if (thing->finalizable) {
        EXPECT(fh_gc_finalizer_cancel(heap, w->root[root]) == 0, "no finalizer to cancel");
        thing->finalizable = false;
    } else {
        errno = -fh_gc_finalizer_add(heap, w->root[root], finalized, w, FH_GC_UNORDERED);
        thing->finalizable = !refused(errno != 0);
    }
}

static void step_weak(struct world *w)
{
    struct weak *weak = &w->weak[random_below(&w->random, WEAK)];
    int key = root_pick(w), value = root_pick(w);
    if (w->root_thing[key] == NONE || w->root_thing[value] == NONE) return;
    fh_gc_handle_free(weak->handle);
    *weak = (struct weak){.key = w->root_thing[key], .value = w->root_thing[value]};
    weak->ephemeron = random_chance(&w->random, 2);
    void *object = weak->ephemeron ? (void *)fh_gc_ephemeron_new(heap, w->root[key], w->root[value])
                                   : (void *)fh_gc_weak_new(heap, w->root[key]);
    if (refused(object == NULL)) return;
    weak->handle = fh_gc_handle_new(heap, object);
    refused(weak->handle == NULL);
}

/* ---- what is reachable ---------------------------------------------------------------------------------------- */

static int reach(struct world *w, int number)
{
    if (number == NONE || w->things[number].reached) return 0;
    int *stack = malloc(((size_t)w->count + 1) * sizeof *stack), depth = 0, found = 0;
    w->things[number].reached = true;
    stack[depth++] = number;
    while (depth > 0) {
        struct thing *thing = &w->things[stack[--depth]];
        found++;
        for (int i = 0; i < thing->fields; i++) {
            int to = thing->field[i];
            if (to == NONE || w->things[to].reached) continue;
            w->things[to].reached = true;
            stack[depth++] = to;
        }
    }
    free(stack);
    return found;
}

static int reach_all(struct world *w)
{
    int found = 0;
    for (int i = 0; i < w->count; i++) w->things[i].reached = false;
    for (int i = 0; i < ROOTS; i++) found += reach(w, w->root_thing[i]);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < WEAK; i++) {
            struct weak *weak = &w->weak[i];
            if (!weak->ephemeron || weak->dead || !weak->handle) continue;
            if (!w->things[weak->key].reached || w->things[weak->value].reached) continue;
            found += reach(w, weak->value);
            more = true;
        }
    }
    return found;
}

/* Follows the real objects along the model. */
static void compare(struct world *w)
{
    int *stack = malloc(((size_t)w->count + ROOTS) * sizeof *stack), depth = 0;
    size_t object_size = ((size_t)w->count + ROOTS) * sizeof(void *);
    void **object = calloc(1, object_size);
    bool *seen = calloc((size_t)w->count + 1, 1);
    /* Other threads may have objects moved meanwhile. */
    errno = -fh_gc_root_range(heap, object, object_size);
    bool rooted = !refused(errno != 0);
    for (int i = 0; i < ROOTS; i++) {
        if (w->root_thing[i] == NONE || seen[w->root_thing[i]]) continue;
        seen[w->root_thing[i]] = true;
        stack[depth] = w->root_thing[i];
        object[depth++] = w->root[i];
    }
    while (depth > 0) {
        int number = stack[--depth];
        void *at = object[depth];
        struct thing *thing = &w->things[number];
        EXPECT(number_of(at) == (uint64_t)number, "object %d became %lu", number,
               (unsigned long)number_of(at));
        for (int i = 0; i < thing->fields; i++) {
            uintptr_t field = (uintptr_t)fields_of(at, thing->kind)[i];
            if (thing->kind == TAGGED) field &= ~(uintptr_t)7;
            int to = thing->field[i];
            EXPECT((field == 0) == (to == NONE), "field %d of object %d", i, number);
            if (to == NONE) continue;
            EXPECT(number_of((void *)field) == (uint64_t)to, "field %d of object %d is %lu, not %d",
                   i, number, (unsigned long)number_of((void *)field), to);
            if (seen[to]) continue;
            seen[to] = true;
            stack[depth] = to;
            object[depth++] = (void *)field;
        }
    }
    if (rooted) EXPECT(fh_gc_root_remove(heap, object) == 0, "remove");
    free(stack);
    free(object);
    free(seen);
}

static void compare_weak(struct world *w)
{
    for (int i = 0; i < WEAK; i++) {
        struct weak *weak = &w->weak[i];
        if (weak->handle == NULL) continue;
        void *object = fh_gc_handle_get(weak->handle);
        void *key =
            weak->ephemeron ? fh_gc_ephemeron_key(heap, object) : fh_gc_weak_get(heap, object);
        if (w->things[weak->key].reached) {
            EXPECT(key && number_of(key) == (uint64_t)weak->key, "weak key %d", weak->key);
            if (!weak->ephemeron) continue;
            void *value = fh_gc_ephemeron_value(heap, object);
            EXPECT(value && number_of(value) == (uint64_t)weak->value, "value %d", weak->value);
        } else {
            EXPECT(!key || !is_precise(), "weak key %d is not cleared", weak->key);
            if (key == NULL) weak->dead = true;
        }
    }
}

static bool count_object(void *object, size_t size, const struct fh_gc_type *type, void *data)
{
    (void)object;
    (void)size;
    (void)type;
    ++*(int *)data;
    return true;
}

/* After a full collection the heap holds what the model reaches, and the weak objects in handles. */
void world_check(struct world *w)
{
    int expected = reach_all(w), found = 0;
    compare(w);
    fh_gc_finalize(heap, 0); /* the queue keeps what its objects refer to */
    EXPECT(fh_gc_collect(heap, rules.compacts ? FH_GC_COMPACT : FH_GC_FULL) == 0, "collect");
    compare(w);
    while (fh_gc_finalize(heap, 0)) EXPECT(fh_gc_collect(heap, FH_GC_FULL) == 0, "collect");
    compare_weak(w);
    for (int i = 0; i < w->count; i++) {
        struct thing *thing = &w->things[i];
        EXPECT(!thing->finalized || !thing->reached, "object %d is finalized too early", i);
        EXPECT(!is_precise() || !thing->finalizable || thing->finalized || thing->reached,
               "object %d is not finalized", i);
    }
    if (!rules.alone || rules.may_refuse) return;
    for (int i = 0; i < WEAK; i++) expected += w->weak[i].handle != NULL;
    fh_gc_walk(heap, count_object, &found);
    /* What lies about on the stack keeps a little. */
    EXPECT(found >= expected && (!is_precise() || found == expected),
           "%d objects, the model has %d", found, expected);
    EXPECT(found < expected + 300, "%d objects, the model has %d", found, expected);
}

/* ---- the door ------------------------------------------------------------------------------------------------------ */

static void step(struct world *w, unsigned what)
{
    if (what < 45) return step_new(w);
    if (what < 75) return step_store(w);
    if (what < 90) return step_follow(w);
    if (what < 95) {
        int from = root_pick(w);
        root_set(w, root_pick(w), w->root[from], w->root_thing[from]);
        if (random_chance(&w->random, 2)) root_set(w, from, NULL, NONE);
        return;
    }
    if (what < 97) return step_weak(w);
    if (what < 99) return step_finalizer(w);
    if (random_chance(&w->random, 4)) fh_gc_step(heap, 200);
    if (random_chance(&w->random, 8)) fh_gc_collect(heap, FH_GC_MINOR);
    if (rules.alone && random_chance(&w->random, 30)) world_check(w);
}

void world_step(struct world *w)
{
    step(w, (unsigned)random_below(&w->random, 100));
}

void world_steer(struct world *w, unsigned what, uint64_t seed)
{
    w->random.state = seed;
    step(w, what % 100);
}

struct world *world_create(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    w->random.state = seed;
    for (int i = 0; i < ROOTS; i++) w->root_thing[i] = NONE;
    errno = -fh_gc_root_add(heap, w->root, ROOTS);
    if (!refused(errno != 0)) return w;
    free(w);
    return NULL;
}

/* Finalizers that have not run yet must do so before the model goes. */
static void finalizers_run(void)
{
    fh_gc_collect(heap, FH_GC_FULL);
    while (fh_gc_finalize(heap, 0)) fh_gc_collect(heap, FH_GC_FULL);
}

void world_destroy(struct world *w)
{
    int found = 0;
    for (int i = 0; i < WEAK; i++) fh_gc_handle_free(w->weak[i].handle);
    EXPECT(fh_gc_root_remove(heap, w->root) == 0, "remove");
    if (rules.exact) finalizers_run();
    if (is_precise()) fh_gc_walk(heap, count_object, &found);
    EXPECT(found == 0, "%d objects left without a root", found);
    if (rules.may_refuse) return; /* finalizers may be late: it stays for them */
    free(w->things);
    free(w);
}
