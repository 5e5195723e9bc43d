/* leaks HOW: loses objects in the leak-finding mode and keeps others. leaks.sh holds what is printed to what was lost. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GC_DEBUG
#define GC_THREADS
#include <gc/gc.h>

#include <gc/leak_detector.h>

static void *kept[8];

static __attribute__((noinline)) void lose(int count)
{
    for (int i = 0; i < count; i++) {
        void **p = GC_MALLOC(100);   /* LOST */
        p[0] = GC_MALLOC_ATOMIC(24); /* LOST WITH IT */
    }
}

static __attribute__((noinline)) void lose_plain(void)
{
    *(char *volatile *)GC_malloc(3000) = NULL;
}

static __attribute__((noinline)) void free_all(void)
{
    for (int i = 0; i < 500; i++) GC_FREE(GC_MALLOC((size_t)i * 40));
    free(strdup("by leak_detector.h"));
}

static __attribute__((noinline)) void stack_clear(void)
{
    volatile char room[16384];
    memset((void *)room, 0, sizeof room);
}

static void collect(void)
{
    stack_clear();
    CHECK_LEAKS();
    stack_clear();
    CHECK_LEAKS();
}

static void *work(void *argument)
{
    for (int i = 0; i < 100000; i++) {
        void **p = GC_MALLOC(16 + (size_t)i % 500);
        p[0] = GC_MALLOC_ATOMIC(40);
        GC_FREE(p[0]);
        GC_FREE(p);
    }
    return argument;
}

/* All is freed, also while others collect and sweep. */
static void threads_run(void)
{
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) pthread_create(&thread[i], NULL, work, NULL);
    for (int i = 0; i < 100; i++) GC_gcollect();
    for (int i = 0; i < 3; i++) pthread_join(thread[i], NULL);
}

int main(int count, char **arguments)
{
    const char *how = count > 1 ? arguments[1] : "";
    if (strcmp(how, "environment") != 0) GC_set_find_leak(1);
    GC_INIT();
    for (int i = 0; i < 8; i++) kept[i] = GC_MALLOC(50);
    free_all();
    if (strcmp(how, "threads") == 0) {
        threads_run();
        return 0;
    }
    if (strcmp(how, "none") != 0) lose(strcmp(how, "many") == 0 ? 500 : 3);
    if (strcmp(how, "plain") == 0) lose_plain();
    if (strcmp(how, "exit") != 0) collect();
    stack_clear();
    dprintf(2, "end of main\n");
    return 0;
}
