/*
 * lent sleep|signals|compute: one thread, which is the one that is borrowed for malloc_trim, and would notice. Its heap
 * has free pages that are locked, so that giving them back fails, and sets errno.
 *
 *   sleep     sleeps of 300 ms, each of which must leave errno as it was and last neither less nor, by a
 *             restart in full at each borrowing, several times as long
 *   signals   it sleeps on; each SIGRTMIN must arrive once, and its registers and errno survive
 *   compute   it hardly ever waits, and computes in registers only
 *
 * It says "ready", and at the end of its input "ROUNDS SIGNALS" and its exit status 0 if all was well.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS = 300, BYTES = 12000, SLEEP_MS = 300, LONGEST_MS = 4000, MARK = 77 };

static char *blocks[BLOCKS];
static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

static void make_heap(void)
{
    for (int i = 0; i < BLOCKS; i++) blocks[i] = memset(malloc(BYTES), 1, BYTES);
    for (int i = 0; i < BLOCKS; i += 2) free(blocks[i]);
    for (int i = 1; i < BLOCKS / 2; i += 2) mlock(blocks[i] - 2 * BYTES, 2 * BYTES);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000;
}

static void check(int condition, const char *what, long value)
{
    if (condition) return;
    fprintf(stderr, "lent: %s: %ld\n", what, value);
    exit(1);
}

static void sleep_once(void)
{
    uint64_t began = now_ms();
    struct timespec time = {0, SLEEP_MS * 1000000};
    errno = MARK;
    check(nanosleep(&time, NULL) == 0, "a sleep failed", errno);
    check(errno == MARK, "errno became", errno);
    long took = (long)(now_ms() - began);
    check(took >= SLEEP_MS - 10 && took < LONGEST_MS, "a sleep took ms", took);
}

static void wait_for_signals(void)
{
    struct timespec time = {0, 20000000};
    double real = 1.5;
    __asm__ volatile("" : "+x"(real));
    errno = MARK;
    int result = nanosleep(&time, NULL), error = errno;
    __asm__ volatile("" : "+x"(real));
    check(real == 1.5, "a register became", (long)(real * 1000));
    check(result == 0 ? error == MARK : error == EINTR, "errno became", error);
}

static void compute(void)
{
    static const double expected = 1.6180339887498949;
    double real = 1;
    uint64_t whole = 1;
    errno = MARK;
    for (int i = 0; i < 3000000; i++) {
        real = 1 + 1 / real;
        whole = whole * 6364136223846793005u + 1442695040888963407u;
    }
    check(errno == MARK, "errno became", errno);
    check(real == expected, "a real number became", (long)(real * 1e6));
    static uint64_t first;
    if (first == 0) first = whole;
    check(whole == first, "a number became", (long)whole);
}

static int ended(void)
{
    char c;
    return read(0, &c, 1) == 0;
}

int main(int argc, char **argv)
{
    long rounds = 0;
    if (argc != 2) return 2;
    sigaction(SIGRTMIN, &(struct sigaction){.sa_handler = on_signal}, NULL);
    make_heap();
    fcntl(0, F_SETFL, O_NONBLOCK);
    dprintf(1, "ready\n");
    for (; !ended(); rounds++) {
        if (strcmp(argv[1], "sleep") == 0)
            sleep_once();
        else if (strcmp(argv[1], "compute") == 0)
            compute();
        else
            wait_for_signals();
    }
    dprintf(1, "%ld %d\n", rounds, (int)signals);
    return 0;
}
