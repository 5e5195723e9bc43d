/* realloc of an object that was never allocated, as the first call of all. */
#include <stdlib.h>

static char *volatile object = (char[64]){0};

int main(void)
{
    return realloc(object, 100) == NULL ? 0 : 1;
}
