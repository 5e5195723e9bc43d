/*
 * ends END LOST KEPT THREADS: a program that ends in a known way after it has lost LOST blocks of 1 KiB, a
 * tenth of them in lists whose first block alone is lost directly, while it keeps KEPT blocks in every way in
 * which a program can: by static data, a thread's own variable, the stack of a thread, another block.
 *
 * END: return, exit, thread (another one calls exit), last (main ends by pthread_exit, another thread is the
 * last to end), quick (_exit), kill, exec (as `return`, in another program), fork (a child that ends by exit
 * loses twice as many), late (what is lost is freed by a handler of exit and by a destructor), status (3),
 * wait (says so, until it is killed), closed (without descriptors), locked (it has given up new privileges).
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 1024, CHAIN = 10, THREADS_MAX = 64 };

static size_t lost, kept;
static void *volatile by_data;
static __thread void *volatile by_thread;
static pthread_barrier_t ready;
static uintptr_t hidden[1 << 16]; /* complements of addresses */
static size_t hidden_count;

static __attribute__((noinline)) void wipe_stack(void)
{
    char dead[16 << 10];
    memset(dead, 0, sizeof dead);
    __asm__ volatile("" : : "r"(dead) : "memory"); /* or it would be left out */
}

static __attribute__((noinline)) void **block_make(void *next)
{
    void **block = malloc(SIZE);
    memset(block, 0, SIZE);
    snprintf((char *)(block + 1), 32, "planted");
    *block = next;
    return block;
}

static __attribute__((noinline)) void lose(size_t count)
{
    void **chain = NULL;
    for (size_t i = 0; i < count; i++) {
        void **block = block_make(i < count / 10 / CHAIN * CHAIN ? chain : NULL);
        chain = i % CHAIN == CHAIN - 1 ? NULL : block;
        if (hidden_count < sizeof hidden / sizeof *hidden)
            hidden[hidden_count++] = ~(uintptr_t)block;
    }
}

static void free_hidden(void)
{
    while (hidden_count > 0) free((void *)~hidden[--hidden_count]);
}

static bool frees_late;
static int enders; /* threads that wanted to call exit: it is not for two at a time */

__attribute__((destructor)) static void free_rest(void)
{
    if (frees_late) free_hidden();
}

static void free_first(void)
{
    free((void *)~hidden[--hidden_count]);
}

/* A list of a quarter of the blocks. */
static __attribute__((noinline)) void **keep(size_t count)
{
    void **list = NULL;
    for (size_t i = 0; i < count; i++) list = block_make(list);
    return list;
}

static bool main_has_ended(void)
{
    char text[256] = "";
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    return size > 0 && strstr(text, ") Z ");
}

static void *hold(void *ends)
{
    void **volatile by_stack = keep(kept / 4);
    by_thread = keep(kept / 4);
    wipe_stack();
    pthread_barrier_wait(&ready);
    if (strcmp(ends, "thread") == 0 && __atomic_fetch_add(&enders, 1, __ATOMIC_RELAXED) == 0)
        exit(0);
    if (strcmp(ends, "last") == 0) {
        while (!main_has_ended()) usleep(1000);
        return NULL;
    }
    for (;;) pause();
    return by_stack;
}

static void forked(void)
{
    pid_t child = fork();
    if (child == 0) {
        lose(2 * lost);
        exit(0);
    }
    waitpid(child, NULL, 0);
}

static int end(const char *ends, char **argv)
{
    if (strcmp(ends, "exit") == 0) exit(0);
    if (strcmp(ends, "thread") == 0) pause();
    if (strcmp(ends, "last") == 0) pthread_exit(NULL);
    if (strcmp(ends, "quick") == 0) _exit(0);
    if (strcmp(ends, "wait") == 0) return puts("ready"), fflush(stdout), pause();
    if (strcmp(ends, "kill") == 0) kill(getpid(), SIGKILL);
    if (strcmp(ends, "fork") == 0) forked();
    if (strcmp(ends, "locked") == 0) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (strcmp(ends, "closed") == 0) close_range(0, ~0u, 0);
    if (strcmp(ends, "exec") == 0) {
        argv[1] = (char[]){"return"};
        execv("/proc/self/exe", argv);
    }
    if (strcmp(ends, "late") == 0) {
        frees_late = true;
        atexit(free_first);
    }
    return strcmp(ends, "status") == 0 ? 3 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 5) return 99;
    int threads = atoi(argv[4]);
    lost = strtoul(argv[2], NULL, 10);
    kept = strtoul(argv[3], NULL, 10);
    if (threads < 0 || threads > THREADS_MAX) return 98;
    pthread_barrier_init(&ready, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, hold, argv[1]) != 0) return 97;
    }
    by_data = keep(kept / 2);
    lose(lost);
    wipe_stack();
    free(malloc(SIZE)); /* and the registers */
    pthread_barrier_wait(&ready);
    return end(argv[1], argv);
}
