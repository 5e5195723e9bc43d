/* Misuses, in this order, what the arguments say: library WAY or program WAY. Then a correct program for a while, and 0. */
#include <stdlib.h>
#include <string.h>

#include "exempt_bad.h"

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2)
        (strcmp(argv[i], "library") == 0 ? bad_in_library : bad_in_program)(argv[i + 1]);
    for (int i = 0; i < 20000; i++) {
        char *p = malloc(40), *q = malloc(40);
        if (p == q || p[39] || q[39]) return 1;
        p[39] = q[39] = 1;
        free(p);
        free(q);
    }
    return 0;
}
