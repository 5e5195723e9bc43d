/* free of a large block that is free already. */
#include <stdlib.h>

int main(void)
{
    char *volatile p = malloc(1000000);
    free(p);
    free(p);
    return 0;
}
