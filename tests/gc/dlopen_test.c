/*
 * A module that is loaded and unloaded while collections go on. What could break: the collector reads static
 * data that is not mapped any more, or a type that was declared there; a deadlock over the linker's lock. Argument:
 * the module.
 */
#include <freehold/gc.h>

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/expect.h"

struct node {
    struct node *next;
    uint64_t value;
};
FH_GC_TYPE(node, next)

static const char *module;
static struct fh_gc_heap *heap;
static _Atomic int stop;

static void *thread_loads(void *unused)
{
    (void)unused;
    EXPECT(fh_gc_thread_attach() == 0, "attached");
    for (int i = 0; !stop; i++) {
        void *handle = dlopen(module, RTLD_NOW);
        EXPECT(handle, "loaded: %s", dlerror());
        struct node **data = dlsym(handle, "module_data");
        EXPECT(data, "its data is found");
        struct node *node = fh_gc_new(heap, node);
        node->value = (uint64_t)i;
        fh_gc_store(heap, &data[i % 1000], node);
        EXPECT(data[i % 1000]->value == (uint64_t)i, "what it refers to is kept");
        dlclose(handle);
    }
    return NULL;
}

static void *join(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    return NULL;
}

static void loads(enum fh_gc_policy policy)
{
    pthread_t thread;
    struct fh_gc_options options = {.policy = policy, .debug = FH_GC_POISON};
    heap = fh_gc_create(&options);
    stop = 0;
    EXPECT(pthread_create(&thread, NULL, thread_loads, NULL) == 0, "a thread");
    for (int i = 0; i < 120; i++) fh_gc_collect(heap, FH_GC_FULL);
    stop = 1;
    fh_gc_blocking(join, &thread);
    fh_gc_destroy(heap);
}

/* A process's first collection makes threads, for which libc takes a lock that dlclose holds while it waits for the
 * list of modules, which who walks holds while it waits for others. */
static struct fh_gc_heap *walked;

static bool walk_on(void *object, size_t size, const struct fh_gc_type *type, void *data)
{
    (void)object;
    (void)size;
    (void)type;
    (void)data;
    return true;
}

static void *thread_walks(void *unused)
{
    while (!stop) fh_gc_walk(walked, walk_on, NULL);
    return unused;
}

static void *thread_loads_only(void *unused)
{
    while (!stop) dlclose(dlopen(module, RTLD_NOW));
    return unused;
}

static void first_collection(void)
{
    pthread_t thread[4];
    struct fh_gc_options many = {.markers = 8}, one = {.markers = 1};
    alarm(60);
    heap = fh_gc_create(&many);
    walked = fh_gc_create(&one);
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, i % 2 ? thread_walks : thread_loads_only, NULL);
    fh_gc_collect(heap, FH_GC_FULL);
    stop = 1;
    for (int i = 0; i < 4; i++) fh_gc_blocking(join, &thread[i]);
    _exit(0);
}

static void first_collections(void)
{
    for (int i = 0; i < 8; i++) {
        pid_t child = fork();
        if (child == 0) first_collection();
        int status = -1;
        EXPECT(waitpid(child, &status, 0) == child && status == 0, "it ended, with %x", status);
    }
}

/* Its objects outlive it. */
static void *left_behind;

static void unload(void)
{
    void *handle = dlopen(module, RTLD_NOW);
    EXPECT(handle, "loaded: %s", dlerror());
    void *(*make)(struct fh_gc_heap *, int) =
        (void *(*)(struct fh_gc_heap *, int))dlsym(handle, "module_objects");
    EXPECT(make, "its function is found");
    left_behind = make(heap, 1000);
    EXPECT(strcmp(fh_gc_type_of(heap, left_behind)->name, "visitor") == 0, "its own type");
    dlclose(handle);
}

static void types_stay(void)
{
    static struct fh_gc_type another = {.name = "another", .size = 16, .flags = FH_GC_LEAF};
    struct fh_gc_options options = {.debug = FH_GC_VERIFY | FH_GC_POISON};
    char text[2000];
    heap = fh_gc_create(&options);
    for (int i = 0; i < 3; i++) {
        unload();
        fh_gc_collect(heap, FH_GC_FULL);
        EXPECT(strcmp(fh_gc_type_of(heap, left_behind)->name, "visitor") == 0, "a copy of it");
        EXPECT(fh_gc_why_alive(heap, *((void **)left_behind + 80), text, sizeof text) > 0, "why");
        EXPECT(strstr(text, "visitor"), "its name is known: %s", text);
    }
    EXPECT(fh_gc_type_register(&another) == 0, "others are registered still");
    fh_gc_destroy(heap);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2, "an argument: the module");
    module = argv[1];
    first_collections();
    loads(FH_GC_MARK);
    loads(FH_GC_GENERATIONAL);
    loads(FH_GC_CONCURRENT);
    types_stay();
    return 0;
}
