/* Frees what was never handed out, by realloc to nothing. */
#include <stdint.h>
#include <stdlib.h>

int main(void)
{
    void *volatile p = realloc((void *)(uintptr_t)0x1234567890, 0);
    return p != NULL;
}
