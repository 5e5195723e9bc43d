/*
 * late LIBRARY...: a program without libgc loads one by dlopen, in a thread when others run already, has its threads
 * allocate and collect, closes it and goes on. With several: loads all of them, and uses them at the same time.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 3, LIBRARIES = 2, NODES = 5000 };

struct library {
    void *handle;
    void *(*allocate)(size_t);
    void (*collect)(void);
    void (*allow)(void);
};

static struct library libraries[LIBRARIES];
static int library_count;
static int global;
static pthread_barrier_t loaded;

static void *function_of(void *handle, const char *name)
{
    void *function = dlsym(handle, name);
    if (function == NULL) exit(98);
    return function;
}

static void library_open(struct library *library, const char *path)
{
    library->handle = dlopen(path, RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
    if (library->handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(99);
    }
    library->allocate = (void *(*)(size_t))function_of(library->handle, "GC_malloc");
    library->collect = (void (*)(void))function_of(library->handle, "GC_gcollect");
    void (*init)(void) = (void (*)(void))function_of(library->handle, "GC_init");
    init();
}

static int list_check(void **list)
{
    int count = 0;
    for (; list; list = list[0], count++)
        if (list[1] != (void *)~(size_t)list) return 0;
    return count == NODES;
}

static int list_make(const struct library *library)
{
    void **list = NULL;
    for (int i = 0; i < NODES; i++) {
        void **node = library->allocate(48);
        node[0] = list;
        node[1] = (void *)~(size_t)node;
        list = node;
        if (i % 1000 == 0) library->collect();
    }
    return list_check(list);
}

static void *work(void *argument)
{
    const struct library *library = argument;
    pthread_barrier_wait(&loaded);
    for (int i = 0; i < 10; i++)
        if (!list_make(library)) return "bad";
    return NULL;
}

int main(int count, char **arguments)
{
    pthread_t thread[THREADS];
    int bad = 0, first = 1;
    alarm(60);
    if (count > 1 && strcmp(arguments[1], "global") == 0) global = first++;
    library_count = count - first < LIBRARIES ? count - first : LIBRARIES;
    if (library_count < 1) return 97;
    pthread_barrier_init(&loaded, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, work, &libraries[i % library_count]);
    for (int i = 0; i < library_count; i++) library_open(&libraries[i], arguments[first + i]);
    if (!list_make(&libraries[0])) bad = 1;
    pthread_barrier_wait(&loaded);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(thread[i], &result);
        if (result) bad = 1;
    }
    for (int i = 0; i < library_count; i++) dlclose(libraries[i].handle);
    if (!list_make(&libraries[0])) bad = 1; /* it does not go */
    return bad;
}
