/* free of an address in the allocator's own records. */
#include <stdint.h>
#include <stdlib.h>

#include <freehold/registry.h>

int main(void)
{
    free(malloc(1));
    free((void *)(uintptr_t)(fh_registry.base + 4096));
    return 0;
}
