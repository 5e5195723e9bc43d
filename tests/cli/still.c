/* Allocates, says that it is ready, and stands still until its stdin ends. With OWN_MALLOC it brings
 * a malloc of its own, as programs do that link an allocator in. */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef OWN_MALLOC
static char pool[1 << 20];
static size_t pool_used;

void *malloc(size_t size)
{
    void *p = pool + pool_used;
    pool_used += (size + 15) & ~(size_t)15;
    return pool_used <= sizeof pool ? p : NULL;
}

void *calloc(size_t count, size_t size)
{
    return malloc(count * size); /* the pool is zero and nothing is used twice */
}

void *realloc(void *p, size_t size)
{
    (void)p;
    return malloc(size);
}

void free(void *p)
{
    (void)p;
}
#endif

static void *volatile kept;

int main(void)
{
    char c;
    kept = malloc(1000);
    if (write(1, "ready\n", 6) != 6) return 1;
    while (read(0, &c, 1) > 0) continue;
    return 0;
}
