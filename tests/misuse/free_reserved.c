/* free of an address that the allocator has reserved and never handed out. */
#include <stdint.h>
#include <stdlib.h>

#include <freehold/registry.h>

int main(void)
{
    free(malloc(1));
    free((void *)(uintptr_t)(fh_registry.limit - 65536));
    return 0;
}
