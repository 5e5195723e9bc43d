/* An allocator that works until a program asks for more than 60,000 bytes at once; then it says so and
 * aborts. Under the name of one that nobody knows. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    static const char word[] = "failing: too large\n";
    if (size > 60000) {
        if (write(2, word, strlen(word)) < 0) _exit(1);
        abort();
    }
    return __libc_malloc(size);
}
