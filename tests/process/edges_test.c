/*
 * malloc at the edges of a process's and a thread's life: before main, in constructors and initialiser
 * arrays; after main, in atexit handlers and destructors; in the destructors of thread-specific data,
 * also when the thread's heap is already given up; and after main has called pthread_exit.
 *
 * Linked to the library under its real names. Says on stdout what was reached, in order.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <freehold/freehold.h>

#include "kit/expect.h"

enum { ROUNDS = 3 };

static void *kept; /* from before main to the very end */

static void say(const char *what)
{
    EXPECT(write(1, what, strlen(what)) > 0, "stdout");
}

/* A little of everything; and it must be our library that serves it. */
static void use_malloc(void)
{
    void *small = malloc(100), *zero = calloc(10, 10), *large = malloc(100000);
    small = realloc(small, 5000);
    struct fh_description d;
    EXPECT(fh_describe(small, &d) == FH_BLOCK && fh_describe(large, &d) == FH_LARGE,
           "malloc is not freehold's");
    memset(large, 1, 100000);
    free(zero);
    free(small);
    free(large);
}

static void before_everything(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    use_malloc();
    kept = malloc(64);
    say("preinit ");
}
__attribute__((section(".preinit_array"),
               used)) static void (*preinit)(int, char **, char **) = before_everything;

__attribute__((constructor)) static void construct(void)
{
    use_malloc();
    say("constructor ");
}

__attribute__((destructor)) static void destruct(void)
{
    use_malloc();
    free(kept);
    say("destructor\n");
}

static void at_exit(void)
{
    use_malloc();
    say("atexit ");
}

/* Runs again as long as it sets its value anew: after the library's own destructor in each round. */
static pthread_key_t key;

static void value_end(void *value)
{
    int round = *(int *)value;
    free(value);
    use_malloc();
    if (round == 0) return;
    int *next = malloc(sizeof *next);
    *next = round - 1;
    pthread_setspecific(key, next);
}

static void *work(void *unused)
{
    (void)unused;
    int *value = malloc(sizeof *value);
    *value = ROUNDS;
    pthread_setspecific(key, value);
    use_malloc();
    return NULL;
}

static void *last_thread(void *main_thread)
{
    pthread_join(*(pthread_t *)main_thread, NULL);
    use_malloc();
    say("main-gone ");
    return NULL; /* the last thread's end is the process's: exit handlers run here */
}

int main(void)
{
    static pthread_t self;
    pthread_t thread;
    self = pthread_self();
    use_malloc();
    atexit(at_exit);
    EXPECT(pthread_key_create(&key, value_end) == 0, "no key");
    for (int i = 0; i < 3; i++) {
        EXPECT(pthread_create(&thread, NULL, work, NULL) == 0, "no thread");
        pthread_join(thread, NULL);
    }
    say("main ");
    EXPECT(pthread_create(&thread, NULL, last_thread, &self) == 0, "no thread");
    pthread_exit(NULL);
}
