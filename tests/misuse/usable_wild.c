/* malloc_usable_size of an address that no malloc gave. */
#include <malloc.h>
#include <stdlib.h>

int main(void)
{
    free(malloc(1));
    return malloc_usable_size((void *)0x1234567890) == 0 ? 0 : 1;
}
