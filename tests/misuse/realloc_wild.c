/* realloc of an address that no malloc gave. Ignored, it is an allocation that failed. */
#include <errno.h>
#include <stdlib.h>

int main(void)
{
    free(malloc(1));
    return realloc((void *)0x1234567890, 100) == NULL && errno == ENOMEM ? 0 : 1;
}
