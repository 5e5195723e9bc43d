/* free_aligned_sized of a block that does not lie so. */
#include <freehold/freehold.h>
#include <stdlib.h>

int main(void)
{
    void *a = malloc(100), *b = malloc(100); /* not both at multiples of 4096 */
    fh_free_aligned_sized((size_t)a % 4096 ? a : b, 4096, 100);
    return 0;
}
