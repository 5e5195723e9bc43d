/*
 * A privileged program that gives up its user: glibc's setuid() changes every thread that libc knows,
 * and the purger's helper is none of them. It must not live on with the rights that were given up.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"

enum { SKIPPED = 77, NOBODY = 65534, TENTHS_MAX = 600 };

/* Real user of a thread of ours, or -1 if it has ended. */
static long user_of(const char *task)
{
    char path[300], line[200];
    long user = -1;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Uid:", 4) == 0) user = atol(line + 4);
    if (file) fclose(file);
    return user;
}

static int threads_of(long user)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    EXPECT(tasks != NULL, "/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        if (entry->d_name[0] != '.' && user_of(entry->d_name) == user) count++;
    closedir(tasks);
    return count;
}

static void wake_helper(void)
{
    char *p = fh_malloc(50 << 20);
    memset(p, 1, 50 << 20);
    fh_free(p);
    EXPECT(fh_registry.helper_running, "no helper was started");
}

int main(void)
{
    if (getuid() != 0) {
        puts("skipped: only root can become another user");
        return SKIPPED;
    }
    wake_helper();
    EXPECT(threads_of(0) == 2, "%d threads of root", threads_of(0));
    EXPECT(setuid(NOBODY) == 0, "setuid");
    for (int i = 0; i < TENTHS_MAX && threads_of(0) > 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    EXPECT(threads_of(0) == 0, "a thread is still root's");
    wake_helper();
    EXPECT(threads_of(0) == 0, "a new thread is root's");
    puts("nobody is root");
    return 0;
}
