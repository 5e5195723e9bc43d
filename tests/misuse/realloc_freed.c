/* realloc of a small block that is free. */
#include <stdlib.h>

int main(void)
{
    char *volatile p = malloc(100);
    free(p);
    return realloc(p, 1000) != NULL;
}
