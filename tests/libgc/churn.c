/* churn MB [STATUS [FREEHOLD]]: allocates so many MiB with libgc; then lets `FREEHOLD which` look at it; ends with the
 * status. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gc/gc.h>

int main(int count, char **arguments)
{
    long left = count > 1 ? atol(arguments[1]) << 20 : 0;
    char command[4096];
    GC_INIT();
    for (; left > 0; left -= 64) *(long *)GC_MALLOC(64) = left;
    GC_gcollect();
    if (count > 3) {
        snprintf(command, sizeof command, "%s which %d", arguments[3], (int)getpid());
        if (system(command) < 0) return 99;
    }
    return count > 2 ? atoi(arguments[2]) : 0;
}
