/*
 * What the child of a fork is: a process of one thread, and all that follows from it.
 *
 * What could break: a child that takes its parent's helper for its own, and gives nothing back ever
 * after; heaps of threads that do not exist, which nobody takes over; numbers that are the parent's.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/freehold.h>

#include "heap/heap.h"
#include "kit/expect.h"

enum { BLOCKS = 2000, HANG_S = 60 };

static char *block[BLOCKS];
static sem_t filled, finished;

static void *fill_and_sleep(void *unused)
{
    for (int i = 0; i < BLOCKS; i++) memset(block[i] = fh_malloc(300), 1, 300);
    sem_post(&filled);
    sem_wait(&finished);
    return unused;
}

/* The helper naps for half of purge_delay, so it is there as long as it is wanted. */
static void start_helper(void)
{
    fh_option_set("purge_delay", "3600000");
    fh_free(memset(fh_malloc(16 * MIB), 1, 16 * MIB));
    EXPECT(fh_registry.helper_running == 1, "no helper");
}

static void check_who_it_is(void)
{
    EXPECT(fh_registry.pid == (uint32_t)getpid(), "process %u", (unsigned)fh_registry.pid);
    EXPECT(heap_self->thread == (uint32_t)gettid(), "thread %u", (unsigned)heap_self->thread);
    EXPECT(fh_registry.threads_peak == 1, "%u threads", (unsigned)fh_registry.threads_peak);
    for (uint32_t i = 0; i < heap_count(); i++) {
        struct heap *heap = heap_at(i);
        uint32_t state = heap == heap_self ? FH_HEAP_LIVE : FH_HEAP_IDLE;
        EXPECT(LOAD(&heap->state) == state, "heap %u is in state %u", i, LOAD(&heap->state));
    }
}

static void check_helper(void)
{
    EXPECT(fh_registry.helper_running == 0, "the parent's helper is not here");
    start_helper();
}

/* Blocks of the thread that did not come along, and what else its heap held. */
static void check_memory_of_the_vanished(void)
{
    for (int i = 0; i < BLOCKS; i++) fh_free(block[i]);
    fh_malloc_trim(0);
    EXPECT(fh_registry.slabs <= 1, "%u slabs are left", (unsigned)fh_registry.slabs);
}

static _Noreturn void child(void)
{
    alarm(HANG_S);
    check_who_it_is();
    check_helper();
    check_memory_of_the_vanished();
    _exit(0);
}

int main(void)
{
    pthread_t thread;
    int status;
    sem_init(&filled, 0, 0);
    sem_init(&finished, 0, 0);
    EXPECT(pthread_create(&thread, NULL, fill_and_sleep, NULL) == 0, "no thread");
    sem_wait(&filled);
    fh_free(fh_malloc(1)); /* a heap of its own */
    start_helper();
    pid_t pid = fork();
    EXPECT(pid >= 0, "fork");
    if (pid == 0) child();
    EXPECT(waitpid(pid, &status, 0) == pid, "waitpid");
    EXPECT(status == 0, "the child ended with status %#x", (unsigned)status);
    sem_post(&finished);
    pthread_join(thread, NULL);
    printf("the child is itself\n");
    return 0;
}
