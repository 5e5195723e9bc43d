/*
 * server MIB RATE_MIB: a server that leaks. Three workers wait in epoll and, when they are called, replace blocks in
 * their own table and in one that all share, and check every block that they touch; for each call they lose a list, a
 * cycle, a text, an array and now and then something large. What keeps a live block is each time something else:
 *   a table; a list; a pointer into its middle; a register or stack; epoll alone; a pipe alone; sigaltstack alone;
 *   a word in memory that is shared, or that a fork leaves out; a packed structure.
 * When MIB were lost it checks everything, and prints "ok LOST RSS", both in KiB. Whatever is wrong ends it at once.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 3, OWN = 2000, SHARED = 4000, STEPS = 64, TOKEN = 200 };

/* A live block: its size, a seed, and bytes that follow from them. */
struct live {
    uint32_t size, seed;
    unsigned char bytes[];
};

struct node {
    struct node *next, *other;
    char text[40];
};

struct __attribute__((packed)) packed {
    uint32_t before;
    struct live *live;
};

static struct live *shared[SHARED];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_size_t lost;
static atomic_int ended;
static volatile size_t lost_max;
static bool may_interrupt; /* a command that is killed puts nothing back: docs/leaks.md */

static void fail(const char *what)
{
    fprintf(stderr, "FAILED: %s\n", what);
    abort();
}

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static struct live *live_make(uint32_t *state)
{
    uint32_t size = draw(state) % 64 == 0 ? 9000 + draw(state) % 90000 : 16 + draw(state) % 600;
    struct live *l = malloc(sizeof *l + size);
    if (!l) fail("no memory");
    l->size = size;
    l->seed = draw(state);
    for (uint32_t i = 0; i < size; i++) l->bytes[i] = (unsigned char)(l->seed * 31 + i * 7);
    return l;
}

static void live_check(const struct live *l)
{
    if (l->size > 100000) fail("a live block has another size");
    for (uint32_t i = 0; i < l->size; i++)
        if (l->bytes[i] != (unsigned char)(l->seed * 31 + i * 7)) fail("a live block was changed");
}

static void live_replace(struct live **place, uint32_t *state)
{
    if (*place) live_check(*place);
    free(*place);
    *place = live_make(state);
}

/* ---- leaks ---------------------------------------------------------------------------------- */

static struct node *node_make(struct node *next)
{
    struct node *n = calloc(1, sizeof *n);
    if (!n) fail("no memory");
    n->next = next;
    strcpy(n->text, "a node that nobody frees");
    atomic_fetch_add(&lost, 64);
    return n;
}

static __attribute__((noinline)) void lose(uint32_t *state)
{
    struct node *list = NULL, *cycle = node_make(NULL);
    for (int i = 0; i < 5; i++) list = node_make(list);
    cycle->next = node_make(cycle);
    cycle->other = node_make(cycle->next);
    size_t size = 100 + draw(state) % 2000;
    char *text = malloc(size);
    if (!text) fail("no memory");
    memset(text, 'x', size);
    memcpy(text, "session ", 8);
    atomic_fetch_add(&lost, size);
    size = draw(state) % 8 == 0 ? 20000 + draw(state) % 200000 : 0;
    void *volatile large = size ? malloc(size) : NULL;
    if (large) memset(large, 1, size);
    atomic_fetch_add(&lost, size);
    large = NULL;
}

/* ---- what keeps a block alone --------------------------------------------------------------- */

static atomic_int handled;

static void on_signal(int number)
{
    (void)number;
    volatile char deep[4000];
    for (size_t i = 0; i < sizeof deep; i += 64) deep[i] = (char)i;
    atomic_fetch_add(&handled, 1);
}

/* What the frames before have left below the stack pointer keeps a block too. */
static __attribute__((noinline)) void wipe(void)
{
    volatile char over[32 << 10];
    for (size_t i = 0; i < sizeof over; i++) over[i] = 0;
}

static __attribute__((noinline)) void forget_signal_stack(void)
{
    stack_t stack = {.ss_size = 64 << 10};
    stack.ss_sp = malloc(stack.ss_size);
    if (!stack.ss_sp || sigaltstack(&stack, NULL) != 0) fail("no signal stack");
    stack.ss_sp = NULL;
    __asm__ volatile("" ::"r"(&stack) : "memory");
}

static int pipe_ends[2];

static __attribute__((noinline)) void pipe_put(struct live *l)
{
    if (write(pipe_ends[1], &l, sizeof l) != sizeof l) fail("pipe");
}

/* Takes the token, checks it, makes another. */
static __attribute__((noinline)) void pipe_turn(uint32_t *state)
{
    struct live *l;
    if (read(pipe_ends[0], &l, sizeof l) != sizeof l) fail("pipe");
    live_check(l);
    if (draw(state) % 4 == 0) live_replace(&l, state);
    pipe_put(l);
}

static struct live **of_shared, **of_unforked, **middle;
static struct packed *of_packed;

static void *map(int flags)
{
    void *p = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
    if (p == MAP_FAILED) fail("no mapping");
    return p;
}

static void keepers_make(uint32_t *state)
{
    of_shared = map(MAP_SHARED);
    of_unforked = map(MAP_PRIVATE);
    if (madvise(of_unforked, 1 << 16, MADV_DONTFORK) != 0) fail("madvise");
    of_packed = map(MAP_PRIVATE);
    middle = map(MAP_PRIVATE);
    for (int i = 0; i < TOKEN; i++) {
        of_shared[i] = live_make(state);
        of_unforked[i] = live_make(state);
        of_packed[i * 2].live = live_make(state);
        middle[i] = (void *)(live_make(state)->bytes + 2);
    }
    if (pipe(pipe_ends) != 0) fail("pipe");
    pipe_put(live_make(state));
}

static void keepers_check(void)
{
    for (int i = 0; i < TOKEN; i++) {
        live_check(of_shared[i]);
        live_check(of_unforked[i]);
        live_check(of_packed[i * 2].live);
        live_check((void *)((char *)middle[i] - 2 - sizeof(struct live)));
    }
}

/* ---- workers -------------------------------------------------------------------------------- */

struct worker {
    pthread_t thread;
    int poll, event;
    uint32_t state;
    struct live *own[OWN];
};

static struct worker workers[WORKERS];

/* The kernel alone knows where it is. */
static __attribute__((noinline)) void epoll_put(struct worker *w)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = live_make(&w->state)};
    if (epoll_ctl(w->poll, EPOLL_CTL_ADD, w->event, &event) != 0) fail("epoll_ctl");
    event.data.ptr = NULL;
    __asm__ volatile("" ::"r"(&event) : "memory");
}

static __attribute__((noinline)) void await_call(struct worker *w)
{
    struct epoll_event event;
    uint64_t calls;
    int n = epoll_wait(w->poll, &event, 1, 10000);
    if (n < 0 && lost_max > 0 && !may_interrupt) fail("epoll_wait was interrupted");
    if (n < 0) return;
    if (n == 0) fail("nobody called");
    live_check(event.data.ptr);
    if (read(w->event, &calls, sizeof calls) != sizeof calls) fail("eventfd");
    event.data.ptr = NULL;
    __asm__ volatile("" ::"r"(&event) : "memory");
}

static void step(struct worker *w)
{
    live_replace(&w->own[draw(&w->state) % OWN], &w->state);
    pthread_mutex_lock(&lock);
    live_replace(&shared[draw(&w->state) % SHARED], &w->state);
    pthread_mutex_unlock(&lock);
    lose(&w->state);
}

static void *work(void *argument)
{
    struct worker *w = argument;
    forget_signal_stack();
    epoll_put(w);
    wipe();
    while (!ended) {
        await_call(w);
        for (int i = 0; i < STEPS && lost < lost_max; i++) step(w);
        if (w == workers) pipe_turn(&w->state);
    }
    raise(SIGUSR1); /* the first use of its stack */
    return NULL;
}

static void call(struct worker *w)
{
    uint64_t one = 1;
    if (write(w->event, &one, sizeof one) != sizeof one) fail("eventfd");
}

/* Asked to end, it checks everything before. */
static void on_end(int number)
{
    (void)number;
    lost_max = 0;
}

static void workers_start(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGTERM, on_end);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &workers[i];
        w->poll = epoll_create1(0);
        w->event = eventfd(0, 0);
        w->state = 77u + (uint32_t)i;
        for (int j = 0; j < OWN; j++) w->own[j] = live_make(&w->state);
        if (pthread_create(&w->thread, NULL, work, w) != 0) fail("no thread");
    }
}

static long resident_kib(void)
{
    long pages = 0, unused;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &unused, &pages) != 2) fail("statm");
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    uint32_t state = 5;
    may_interrupt = getenv("MAY_INTERRUPT") != NULL;
    lost_max = (argc > 1 ? strtoul(argv[1], NULL, 10) : 100) << 20;
    double rate = (argc > 2 ? strtod(argv[2], NULL) : 20) * (1 << 20), began = now();
    for (int i = 0; i < SHARED; i++) shared[i] = live_make(&state);
    keepers_make(&state);
    workers_start();
    while (lost < lost_max) {
        for (int i = 0; i < WORKERS; i++) call(&workers[i]);
        keepers_check();
        do usleep(2000);
        while ((now() - began) * rate < (double)lost);
    }
    ended = 1;
    for (int i = 0; i < WORKERS; i++) {
        call(&workers[i]);
        pthread_join(workers[i].thread, NULL);
        for (int j = 0; j < OWN; j++) live_check(workers[i].own[j]);
    }
    for (int i = 0; i < SHARED; i++) live_check(shared[i]);
    keepers_check();
    if (handled == 0) fail("no signal");
    printf("ok %zu %ld\n", lost >> 10, resident_kib());
    return 0;
}
