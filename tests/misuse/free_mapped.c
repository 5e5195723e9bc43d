/* free of memory that came from mmap. */
#include <stdlib.h>
#include <sys/mman.h>

int main(void)
{
    free(malloc(1));
    free(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    return 0;
}
