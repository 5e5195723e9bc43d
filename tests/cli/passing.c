/* Exports malloc and passes the calls on. Under the names of other people's libraries it stands in
 * for them: for a wrapper's, and for a sanitizer's runtime that a program needs. */
#include <stddef.h>

void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    return __libc_malloc(size);
}
