/*
 * A module that is loaded and unloaded while collections go on. What could break: the collector reads static
 * data that is not mapped any more; a deadlock over the linker's lock. Argument: the module.
 */
#include <freehold/gc.h>

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

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

int main(int argc, char **argv)
{
    EXPECT(argc == 2, "an argument: the module");
    module = argv[1];
    loads(FH_GC_MARK);
    loads(FH_GC_GENERATIONAL);
    loads(FH_GC_CONCURRENT);
    return 0;
}
