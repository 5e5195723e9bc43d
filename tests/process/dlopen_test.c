/*
 * The library opened late, by a program on another malloc, and closed again:
 *
 *     dlopen_test LIBRARY
 *
 * What could break: thread-local storage that only fits at start-up; and dlclose, when a thread that
 * has a heap ends after it, or a fork or exit comes after it, or the purger sleeps in it: each calls
 * code that must then still be there.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/expect.h"
#include "kit/pattern.h"

enum { THREADS = 4, ROUNDS = 5, BLOCKS = 2000 };

static void *(*library_malloc)(size_t);
static void (*library_free)(void *);
static sem_t worked, closed;

static void use(uint64_t seed)
{
    static _Thread_local void *block[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        block[i] = library_malloc(i);
        pattern_write(block[i], i, seed);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        pattern_expect(block[i], i, i, seed);
        library_free(block[i]);
    }
    void *large = library_malloc(20 << 20);
    memset(large, 1, 20 << 20);
    library_free(large); /* enough to wake the purger */
}

static void *work(void *seed)
{
    use((uintptr_t)seed);
    sem_post(&worked);
    sem_wait(&closed);
    return NULL; /* the end of a thread with a heap, after dlclose */
}

static void *open_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    EXPECT(library != NULL, "%s", dlerror());
    *(void **)&library_malloc = dlsym(library, "fh_malloc");
    *(void **)&library_free = dlsym(library, "fh_free");
    EXPECT(library_malloc && library_free, "fh_malloc and fh_free are not exported");
    return library;
}

static void run_round(const char *path)
{
    pthread_t thread[THREADS];
    void *library = open_library(path);
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&thread[i], NULL, work, (void *)i) == 0, "no thread");
    use(99);
    for (int i = 0; i < THREADS; i++) sem_wait(&worked);
    EXPECT(dlclose(library) == 0, "%s", dlerror());
    for (int i = 0; i < THREADS; i++) sem_post(&closed);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2, "one argument: the library");
    sem_init(&worked, 0, 0);
    sem_init(&closed, 0, 0);
    for (int i = 0; i < ROUNDS; i++) run_round(argv[1]);
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0, "a child ended with %#x", status);
    puts("closed");
    return 0;
}
