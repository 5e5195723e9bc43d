/* Misuses memory as its argument says, and ends with status 3 if it is let. The scripts of this folder know its
 * functions by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) static void drop(char *block)
{
    free(block);
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void write_behind(char *block, size_t size)
{
    memset(block, 'x', size);
    __asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    char *block = malloc(48);
    if (strcmp(how, "twice") == 0) drop(block), drop(block);
    if (strcmp(how, "behind") == 0) write_behind(block, 49), drop(block);
    if (strcmp(how, "many") == 0)
        for (int i = 0; i < 20; i++) drop(block);
    puts("went on");
    return 3;
}
