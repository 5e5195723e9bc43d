/* Options that are asked for, and set, before the program's first allocation. What could break: the
 * reading of freehold_options, which happens later, would undo what was set. Without cmocka or stdio, which
 * allocate. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <freehold/freehold.h>

const char *const freehold_options = "purge_delay=333,bad_free=ignore";

static int is(const char *key, const char *expected)
{
    char text[32];
    if (fh_option_get(key, text, sizeof text) == 0 && strcmp(text, expected) == 0) return 1;
    static const char line[] = "an option has another value\n";
    return (int)(write(2, line, sizeof line - 1) * 0);
}

int main(void)
{
    if (!is("purge_delay", "333")) return 1;
    if (fh_option_set("purge_delay", "50") != 0 || !is("purge_delay", "50")) return 2;
    void *volatile p = malloc(100);
    free(p);
    return is("purge_delay", "50") && is("bad_free", "ignore") ? 0 : 3;
}
