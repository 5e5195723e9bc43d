/* A program to be looked at from outside: allocates what registry_test expects, says so, and waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    static char *small[1000];
    for (int i = 0; i < 1000; i++) memset(small[i] = malloc(250), 1, 250);
    char *large[3];
    for (int i = 0; i < 3; i++) large[i] = malloc((size_t)(i + 1) << 20);
    char text[64];
    int n = snprintf(text, sizeof text, "%p %p\n", (void *)small[500], (void *)large[2]);
    if (write(1, text, (size_t)n) != n) return 1;
    char byte;
    return read(0, &byte, 1) < 0; /* until the test closes its end */
}
