/* The same before the program has allocated anything: the heap does not stand yet. */
#include <stdlib.h>

int main(void)
{
    free((void *)0x1234567890);
    return 0;
}
