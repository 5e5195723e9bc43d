/* leave MIB END: touches so many MiB of mapped memory, which stays resident, and ends: return; exit, by
 * _exit; kill, by SIGKILL. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    size_t size = strtoull(argv[1], NULL, 0) << 20;
    char *p =
        mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 3;
    memset(p, 1, size);
    if (strcmp(argv[2], "exit") == 0) _exit(0);
    if (strcmp(argv[2], "kill") == 0) kill(getpid(), SIGKILL);
    return 0;
}
