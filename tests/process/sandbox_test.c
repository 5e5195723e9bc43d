/*
 * A process that locks itself in, as parsers and servers do: a seccomp filter, for all threads, that kills
 * for what our helper does and the program does not.
 *
 *     sandbox_test before|after      whether the helper runs already as the filter comes
 *
 * What could break: a free that starts the helper, which is a clone; a helper that goes on.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"

#define KILL_FOR(call)                                                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static void lock_in(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        KILL_FOR(clone),
        KILL_FOR(clone3),
        KILL_FOR(openat),
        KILL_FOR(prctl),
        KILL_FOR(prlimit64),
        KILL_FOR(gettid),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    EXPECT(fh_registry.helper_running == 0, "the helper runs");
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0)
        return;
    puts("no seccomp here");
    exit(77);
}

/* 64 MiB in blocks, so that it becomes free spans, not unmapped ones. */
static void take_and_free(void)
{
    enum { BLOCKS = 1024, SIZE = 64 << 10 };
    static char *volatile block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) block[i] = memset(malloc(SIZE), 1, SIZE);
    for (int i = 0; i < BLOCKS; i++) free(block[i]);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2, "before or after");
    fh_option_set("purge_delay", "20");
    if (strcmp(argv[1], "before") == 0) {
        take_and_free();
        EXPECT(fh_registry.helper_running == 1, "the helper does not run");
    }
    lock_in();
    for (int i = 0; i < 5; i++) {
        take_and_free();
        nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    }
    EXPECT(malloc_trim(0) == 1, "nothing to give back");
    EXPECT(fh_registry.helper_running == 0, "a helper was started");
    puts("locked in, and alive");
    return 0;
}
