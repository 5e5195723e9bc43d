/* free of an address where nothing is mapped. */
#include <stdlib.h>

int main(void)
{
    free(malloc(1));
    free((void *)0x1234567890);
    return 0;
}
