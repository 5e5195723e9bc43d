/*
 * moves: blocks of which there is never more than one pointer, and that never rests. All signals are blocked; six
 * threads wait in epoll; the movers take a word to and fro, as fast as they can,
 *     between two pages                      between private and shared memory
 *     by a swap of two pairs at a time, in vector registers
 *     through a pipe                         through a UNIX socket
 *     between epoll's data and a page        between the registers of this thread and a page
 *     as a pointer into the middle only
 * and each time look at the block. Ends when standard input ends, and prints "ok MOVES".
 */
#include <poll.h>
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
#include <sys/socket.h>
#include <unistd.h>

enum { WAITERS = 6, WORDS = 40 };

static atomic_bool ended;
static atomic_ulong moves;

/* What the program holds is a number of its own, so that no stale copy of a pointer keeps the block. */
static void fail(const char *what)
{
    fprintf(stderr, "FAILED: %s\n", what);
    abort();
}

static __attribute__((noinline)) uint64_t *make(uint64_t seed)
{
    uint64_t *p = malloc(WORDS * sizeof *p);
    if (!p) fail("no memory");
    for (int i = 0; i < WORDS; i++) p[i] = seed + (uint64_t)i;
    return p;
}

/* What the frames before have left below the stack pointer keeps a block too. */
static __attribute__((noinline)) void wipe(void)
{
    volatile char over[32 << 10];
    for (size_t i = 0; i < sizeof over; i++) over[i] = 0;
}

/* Nor shall a general register keep it. */
static inline void forget_registers(void)
{
#ifdef __x86_64__
    __asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"
                     "xor %%esi, %%esi\n\txor %%edi, %%edi\n\txor %%r8d, %%r8d\n\t"
                     "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d" ::
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
#endif
}

static void check(const uint64_t *p, uint64_t seed, const char *who)
{
    for (int i = 0; i < WORDS; i++)
        if (p[i] != seed + (uint64_t)i) fail(who);
}

static void *map(int flags)
{
    void *p = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
    if (p == MAP_FAILED) fail("no mapping");
    return p;
}

static void between(uint64_t *volatile *a, uint64_t *volatile *b, uint64_t seed, const char *who)
{
    *a = make(seed);
    wipe();
    while (!ended) {
        for (int i = 0; i < 1000; i++) {
            *b = *a;
            *a = NULL;
            *a = *b;
            *b = NULL;
        }
        check(*a, seed, who);
        moves += 2000;
    }
}

static void *between_pages(void *unused)
{
    (void)unused;
    between(map(MAP_PRIVATE), map(MAP_PRIVATE), 1, "between pages");
    return NULL;
}

static void *between_shared(void *unused)
{
    (void)unused;
    between(map(MAP_PRIVATE), map(MAP_SHARED), 2, "between private and shared memory");
    return NULL;
}

typedef uint64_t pair __attribute__((vector_size(16)));

static void *between_vectors(void *unused)
{
    volatile pair *a = map(MAP_PRIVATE), *b = map(MAP_PRIVATE);
    (void)unused;
    *a = (pair){(uintptr_t)make(3), 0};
    wipe();
    while (!ended) {
        for (int i = 0; i < 1000; i++) {
            pair x = *a, y = *b;
            *a = y;
            for (int j = 0; j < 50; j++) __asm__ volatile("" : "+x"(x));
            *b = x;
        }
        if (!((*a)[0] ^ (*b)[0])) fail("between vectors: gone");
        check((uint64_t *)(uintptr_t)((*a)[0] | (*b)[0]), 3, "between vectors");
        wipe();
        forget_registers();
        moves += 1000;
    }
    return NULL;
}

static __attribute__((noinline)) void send_word(int fd, uint64_t seed, const char *who)
{
    uint64_t *p = make(seed);
    check(p, seed, who);
    if (write(fd, &p, sizeof p) != sizeof p) fail(who);
    p = NULL;
    __asm__ volatile("" ::"r"(&p) : "memory");
}

static __attribute__((noinline)) void pass_word(const int fd[2], uint64_t seed, const char *who)
{
    uint64_t *p;
    if (read(fd[0], &p, sizeof p) != sizeof p) fail(who);
    check(p, seed, who);
    if (write(fd[1], &p, sizeof p) != sizeof p) fail(who);
    p = NULL;
    __asm__ volatile("" ::"r"(&p) : "memory");
    moves++;
}

static __attribute__((noinline)) void rest(void)
{
    wipe();
    usleep(200);
}

static void *through_pipe(void *unused)
{
    int fd[2];
    (void)unused;
    if (pipe(fd) != 0) fail("pipe");
    send_word(fd[1], 4, "through a pipe");
    for (; !ended; rest()) pass_word(fd, 4, "through a pipe");
    return NULL;
}

static void *through_socket(void *unused)
{
    int fd[2];
    (void)unused;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0) fail("socketpair");
    send_word(fd[1], 5, "through a socket");
    for (; !ended; rest()) pass_word(fd, 5, "through a socket");
    return NULL;
}

static __attribute__((noinline)) void epoll_turn(int poll, int event, uint64_t *volatile *page)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = *page};
    if (epoll_ctl(poll, EPOLL_CTL_MOD, event, &e) != 0) fail("epoll_ctl");
    *page = NULL;
    e.data.ptr = NULL;
    __asm__ volatile("" ::"r"(&e) : "memory");
    rest();
    if (epoll_wait(poll, &e, 1, -1) != 1) fail("epoll_wait");
    *page = e.data.ptr;
    check(*page, 6, "by epoll");
    memset(&e, 0, sizeof e);
    if (epoll_ctl(poll, EPOLL_CTL_MOD, event, &(struct epoll_event){.events = EPOLLIN}) != 0)
        fail("epoll_ctl");
    __asm__ volatile("" ::"r"(&e) : "memory");
    moves++;
}

static void *by_epoll(void *unused)
{
    uint64_t *volatile *page = map(MAP_PRIVATE);
    int poll = epoll_create1(0), event = eventfd(1, 0);
    struct epoll_event e = {.events = EPOLLIN};
    (void)unused;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, event, &e) != 0) fail("epoll_ctl");
    *page = make(6);
    for (; !ended; rest()) epoll_turn(poll, event, page);
    return NULL;
}

static void *by_register(void *unused)
{
    uint64_t *volatile *page = map(MAP_PRIVATE);
    (void)unused;
    *page = make(7);
    wipe();
    while (!ended) {
        for (int i = 0; i < 1000; i++) {
            uint64_t *p = *page;
            *page = NULL;
            for (int j = 0; j < 50; j++) __asm__ volatile("" : "+r"(p));
            *page = p;
        }
        check(*page, 7, "by a register");
        moves += 1000;
    }
    return NULL;
}

/* The first words of the block point to another, which so is kept by this way alone. */
static void *by_middle(void *unused)
{
    uint64_t *volatile *page = map(MAP_PRIVATE);
    (void)unused;
    uint64_t *p = make(8);
    p[0] = (uintptr_t)make(9);
    *page = p + 5;
    p = NULL;
    wipe();
    while (!ended) {
        uint64_t *inner = (uint64_t *)(uintptr_t)(*page)[-5];
        check(inner, 9, "by a pointer into the middle, then by another");
        if ((*page)[0] != 8 + 5) fail("by a pointer into the middle");
        inner = NULL;
        moves++;
        rest();
    }
    return NULL;
}

static void *wait_for_ever(void *unused)
{
    struct epoll_event e;
    (void)unused;
    int poll = epoll_create1(0), n = epoll_wait(poll, &e, 1, -1);
    fprintf(stderr, "FAILED: epoll_wait returned %d\n", n);
    abort();
}

/* Somebody must come by for memory, and for the list. */
static void churn(void)
{
    for (int i = 0; i < 20; i++) {
        void *volatile p = malloc(i == 0 ? 1000 : 70000); /* one is lost */
        if (i > 0) free(p);
    }
}

int main(void)
{
    static void *(*const movers[])(void *) = {between_pages, between_shared, between_vectors,
                                              through_pipe,  through_socket, by_epoll,
                                              by_register,   by_middle};
    enum { MOVERS = sizeof movers / sizeof *movers };
    pthread_t thread, mover[MOVERS];
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < WAITERS; i++)
        if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0) fail("no thread");
    for (int i = 0; i < MOVERS; i++)
        if (pthread_create(&mover[i], NULL, movers[i], NULL) != 0) fail("no thread");
    struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&end, 1, 10) == 0) churn();
    ended = true;
    for (int i = 0; i < MOVERS; i++) pthread_join(mover[i], NULL);
    printf("ok %lu\n", (unsigned long)moves);
    return 0;
}
