/* free of an address inside a large block. */
#include <stdlib.h>

int main(void)
{
    char *volatile p = malloc(1000000);
    free(p + 500000);
    return 0;
}
