/* free of an address inside a small block, by the thread that made it. */
#include <stdlib.h>

int main(void)
{
    char *volatile p = malloc(100);
    free(p + 24);
    free(p);
    return 0;
}
