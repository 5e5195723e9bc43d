/*
 * A program that takes memory, for the scripts beside it:
 *
 *     oom_grow SIZE MIB          blocks of SIZE until MIB are held, each written to; then "grown"
 *     oom_grow spike MIB         holds MIB and frees them; then takes as much by mmap: "alive" if that could be had
 *     oom_grow twice SIZE MIB    the first way, all freed, and once more
 *     oom_grow fork SIZE MIB     the first way in a child
 *     oom_grow files             its open descriptors, after a program executed by it has listed its own
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
}

/* Blocks hold the list of themselves: a table beside them would be one of the largest. */
static void **grow(size_t size, size_t mib)
{
    void **list = NULL;
    for (size_t held = 0; held < mib * MIB; held += size) {
        void **block = malloc(size);
        if (!block) {
            printf("NULL after %zu MiB\n", held / MIB);
            break;
        }
        memset(block, 1, size);
        *block = list;
        list = block;
    }
    say("grown");
    return list;
}

static void free_list(void **list)
{
    for (void **next; list; list = next) {
        next = *list;
        free(list);
    }
}

static int spike(size_t mib)
{
    free_list(grow(1000, mib));
    char *p = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 1;
    for (size_t at = 0; at < mib * MIB; at += 4096) {
        p[at] = 1;
        if (at % MIB == 0) usleep(2000); /* as a program that does something, too */
    }
    say("alive");
    return 0;
}

static int list_files(void)
{
    DIR *fds = opendir("/proc/self/fd");
    if (!fds) return 1;
    for (struct dirent *entry; (entry = readdir(fds));)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(fds))
            printf("%s ", entry->d_name);
    say("");
    closedir(fds);
    return 0;
}

static int in_child(size_t size, size_t mib)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        grow(size, mib);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    printf("%d was the child\n", (int)pid);
    return !WIFEXITED(status);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t second = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    size_t third = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (strcmp(what, "spike") == 0) return spike(second);
    if (strcmp(what, "files") == 0) return list_files();
    if (strcmp(what, "fork") == 0) return in_child(second, third);
    if (strcmp(what, "twice") == 0) {
        free_list(grow(second, third));
        free_list(grow(second, third));
        return 0;
    }
    grow(strtoul(what, NULL, 10), second);
    return 0;
}
