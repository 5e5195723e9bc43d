/* malloc_usable_size of an object that was never allocated, as the first call of all. */
#include <malloc.h>

static char *volatile object = (char[64]){0};

int main(void)
{
    return malloc_usable_size(object) == 0 ? 0 : 1;
}
