/* malloc_usable_size of a small block that is free. */
#include <malloc.h>
#include <stdlib.h>

int main(void)
{
    char *volatile p = malloc(100);
    free(p);
    return malloc_usable_size(p) != 0;
}
