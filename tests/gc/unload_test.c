/*
 * Modules that are unloaded while objects of their types live on. What could break: the registry reads names and
 * fields that are not mapped any more; the type of the next module is taken for that of the one that was there before;
 * a trace function or finalizer is called that is gone. Arguments: modules with plain types, each with its field
 * elsewhere, and one with a trace function.
 */
#include <freehold/gc.h>

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

#include "kit/expect.h"

struct object {
    struct object *first;
    uint64_t value[2];
    struct object *last;
};

static struct fh_gc_heap *heap;

static void *found(void *module, const char *name)
{
    void *function = dlsym(module, name);
    EXPECT(function, "%s is found", name);
    return function;
}

static void *opened(const char *path)
{
    void *module = dlopen(path, RTLD_NOW);
    EXPECT(module, "loaded: %s", dlerror());
    return module;
}

/* An object whose module is not there any more. */
static struct object *orphan(const char *path)
{
    void *module = opened(path);
    void *(*make)(struct fh_gc_heap *) =
        (void *(*)(struct fh_gc_heap *))found(module, "module_make");
    struct object *object = make(heap);
    dlclose(module);
    return object;
}

static void fill(void)
{
    for (int i = 0; i < 20000; i++) memset(fh_gc_new_bytes(heap, 32), 0xab, 32);
}

static void check(const struct object *object, bool last)
{
    fh_gc_collect(heap, FH_GC_FULL);
    fill();
    EXPECT(fh_gc_verify(heap) == 0, "the heap is whole");
    const struct object *other = last ? object->last : object->first;
    EXPECT(other->value[0] == 42, "what it refers to is kept");
    EXPECT(strcmp(fh_gc_type_of(heap, object)->name, "object") == 0, "its type has a name");
}

/* Each lands where the one before was, or where another one is mapped meanwhile. */
static void modules_follow_each_other(char **path, enum fh_gc_policy policy)
{
    struct fh_gc_options options = {.policy = policy, .initial = 1 << 20};
    heap = fh_gc_create(&options);
    for (int i = 0; i < 6; i++) {
        struct object *volatile object = orphan(path[i % 3]);
        check(object, i % 3 == 1);
        mmap(NULL, 64 << 10, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    fh_gc_destroy(heap);
}

static __attribute__((noinline)) const uint64_t *doom(const char *path, int count)
{
    void *module = opened(path);
    void (*make)(struct fh_gc_heap *) = (void (*)(struct fh_gc_heap *))found(module, "module_doom");
    uint64_t *(*counter)(void) = (uint64_t * (*)(void)) found(module, "module_finalized");
    const uint64_t *finalized = counter();
    for (int i = 0; i < count; i++) make(heap);
    dlclose(module);
    return finalized;
}

static void finalizers_outlive_their_module(const char *path)
{
    enum { COUNT = 100 };
    heap = fh_gc_create(NULL);
    const uint64_t *finalized = doom(path, COUNT);
    fill();
    fh_gc_collect(heap, FH_GC_FULL);
    EXPECT(fh_gc_finalize(heap, 0) >= COUNT - 5, "they are found");
    EXPECT(*finalized >= COUNT - 5, "they have run");
    fh_gc_destroy(heap);
}

/* One type's memory becomes another's: what it says of its number is not true any more. */
static void memory_of_a_type_is_used_again(void)
{
    static const struct fh_gc_field first = {0, 1}, last = {24, 1};
    static struct fh_gc_type type;
    heap = fh_gc_create(NULL);
    type = (struct fh_gc_type){.name = "one", .size = 32, .fields = &first, .field_count = 1};
    EXPECT(fh_gc_type_register(&type) == 0, "registered");
    uint32_t id = type.id;
    type =
        (struct fh_gc_type){.name = "two", .size = 32, .fields = &last, .field_count = 1, .id = id};
    EXPECT(fh_gc_type_register(&type) == 0, "registered again");
    EXPECT(type.id != id, "under another number");
    id = type.id;
    EXPECT(fh_gc_type_register(&type) == 0 && type.id == id, "and then no more");
    EXPECT(fh_gc_type_register(FH_GC_WORDS) == 0, "what is ready stays");
    void *object = fh_gc_allocate(heap, &type, 32);
    EXPECT(fh_gc_type_of(heap, object)->id == id, "an object tells its type's number");
    fh_gc_destroy(heap);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 4, "arguments: three modules");
    for (int policy = FH_GC_MARK; policy <= FH_GC_CONCURRENT; policy++)
        modules_follow_each_other(argv + 1, (enum fh_gc_policy)policy);
    finalizers_outlive_their_module(argv[1]);
    memory_of_a_type_is_used_again();
    return 0;
}
