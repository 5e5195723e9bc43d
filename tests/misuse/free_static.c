/* free of an object that was never allocated. */
#include <stdlib.h>

static char *volatile object = (char[64]){0};

int main(void)
{
    free(malloc(1));
    free(object);
    return 0;
}
