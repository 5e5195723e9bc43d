/* inside: 20 blocks that only the kernel knows of, as data of epoll, one as the value of a timer; 20 that
 * only memory points to which a fork leaves out; and 5 that nobody knows of. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 20, LOST = 5, BYTES = 200 };

static char *make(const char *text)
{
    char *block = malloc(BYTES);
    memset(block, 0, BYTES);
    strcpy(block, text);
    return block;
}

static __attribute__((noinline)) void give_to_epoll(int epoll)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = make("of epoll")};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, eventfd(0, 0), &event) != 0) exit(98);
}

static __attribute__((noinline)) void give_to_timer(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    event.sigev_value.sival_ptr = make("of a timer");
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) exit(97);
}

static __attribute__((noinline)) void give_to_unforked(void)
{
    size_t size = KEPT * sizeof(char *);
    char **page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || madvise(page, 4096, MADV_DONTFORK) != 0) exit(96);
    for (int i = 0; i < KEPT; i++) page[i] = make("of a page");
}

static __attribute__((noinline)) void lose(void)
{
    char *block = make("of nobody");
    __asm__ volatile("" : : "r"(block) : "memory");
}

static __attribute__((noinline)) void wipe_stack(void)
{
    char dead[16 << 10];
    memset(dead, 0, sizeof dead);
    __asm__ volatile("" : : "r"(dead) : "memory");
}

int main(void)
{
    char byte;
    int epoll = epoll_create1(0);
    for (int i = 0; i < KEPT; i++) give_to_epoll(epoll);
    for (int i = 0; i < LOST; i++) lose();
    give_to_timer();
    give_to_unforked();
    free(malloc(BYTES));
    wipe_stack();
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}
