/* Takes a known amount of memory, gives it back and ends in a known way:
 *
 *     take COUNT SIZE END      COUNT blocks of SIZE bytes at once; SIZE+ grows one block to that size
 *
 * END: return; keep, return without freeing; exit, by _exit; kill, by SIGKILL; fork, into three
 * children with an allocation each. The table of blocks is static: what is known shall be all. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS_MAX = 1 << 20 };

static void *block[BLOCKS_MAX];
static size_t count;

static void take(size_t size, int grow)
{
    for (size_t i = 0; i < count; i++) block[i] = malloc(grow ? 1 : size);
    if (grow) block[0] = realloc(block[0], size);
}

static void give_back(void)
{
    for (size_t i = 0; i < count; i++) free(block[i]);
}

static void fork_three(void)
{
    for (int i = 0; i < 3; i++) {
        if (fork() != 0) continue;
        free(malloc(100));
        exit(0);
    }
    while (wait(NULL) > 0) {
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    count = strtoull(argv[1], NULL, 0);
    if (count > BLOCKS_MAX) return 2;
    take(strtoull(argv[2], NULL, 0), strchr(argv[2], '+') != NULL);
    if (strcmp(argv[3], "exit") == 0) _exit(0);
    if (strcmp(argv[3], "kill") == 0) kill(getpid(), SIGKILL);
    if (strcmp(argv[3], "fork") == 0) fork_three();
    if (strcmp(argv[3], "keep") != 0) give_back();
    return 0;
}
