/* free_sized of a small block with another size. */
#include <freehold/freehold.h>
#include <stdlib.h>

int main(void)
{
    fh_free_sized(malloc(100), 1000);
    return 0;
}
