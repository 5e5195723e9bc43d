/*
 * filtered [CALL]: a program that a filter of the kernel kills when it is made to go on with restart_syscall, which
 * stands for a wait that was interrupted; with "allow" in place of a number, one that a filter lets do that.
 * It is ready when it says so, in waits of half a second; its input's end ends it, and 0 says that no wait was cut short.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_NS = 500000000 };

static int polls(void)
{
    return poll(NULL, 0, WAIT_NS / 1000000);
}

static int sleeps(void)
{
    struct timespec time = {0, WAIT_NS};
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/* The time is written to where it was read from. */
static int sleeps_on(void)
{
    struct timespec time = {0, WAIT_NS};
    return nanosleep(&time, &time);
}

static int waits(void)
{
    static int word;
    struct timespec time = {0, WAIT_NS};
    long result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
    return result == -1 && errno == ETIMEDOUT ? 0 : -1;
}

static int waits_until(void)
{
    static int word;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += WAIT_NS;
    if (time.tv_nsec >= 1000000000) time.tv_nsec -= 1000000000, time.tv_sec++;
    long result = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &time, NULL,
                          FUTEX_BITSET_MATCH_ANY);
    return result == -1 && errno == ETIMEDOUT ? 0 : -1;
}

static int (*const calls[])(void) = {polls, sleeps, sleeps_on, waits, waits_until};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int filter(unsigned answer)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    bool allow = argc > 1 && strcmp(argv[1], "allow") == 0;
    int call = argc > 1 ? atoi(argv[1]) : 0;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char *volatile block = malloc(100);
    if (!block || call >= (int)(sizeof calls / sizeof *calls)) return 77;
    if (filter(allow ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS) != 0) return 77;
    puts("ready");
    fflush(stdout);
    do {
        double began = now();
        if (calls[call]() != 0 || now() - began < WAIT_NS * 0.98e-9) return 1;
    } while (poll(&input, 1, 0) == 0);
    fputs("filtered: still here\n", stderr);
    return 0;
}
