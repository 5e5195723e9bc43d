/* free of a local variable. */
#include <stdlib.h>

int main(void)
{
    char local[64];
    void *volatile p = local;
    free(malloc(1));
    free(p);
    return 0;
}
