/*
 * The file of option exempt. Whatever it holds: nothing is read beyond it, there are no more rules than there is room for,
 * each has a library and a group, each line without one is told of once, and matching comes to an end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hard/exempt.h"
#include "kit/expect.h"

static unsigned complaints, line_last;
static const char *text_begin, *text_end_at;

static void complain(unsigned line, const char *text, size_t length, const char *why)
{
    EXPECT(line > line_last, "line %u after %u", line, line_last);
    EXPECT(text >= text_begin && length <= (size_t)(text_end_at - text), "beyond the text");
    EXPECT(memchr(text, '\n', length) == NULL && why[0], "more than a line");
    line_last = line;
    complaints++;
}

static void check(const struct exempt_rules *rules, const char *text, size_t size)
{
    unsigned lines = 1, before = 0;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    EXPECT(rules->count <= EXEMPT_RULES && rules->count + complaints <= lines, "too many");
    for (unsigned i = 0; i < rules->count; i++) {
        const struct exempt_rule *r = &rules->rule[i];
        EXPECT(r->line > before && r->line <= lines, "line %u", r->line);
        EXPECT(r->library[0] && memchr(r->library, 0, sizeof r->library), "library");
        EXPECT(memchr(r->function, 0, sizeof r->function), "function");
        EXPECT(!(r->function[0] && r->offset), "two places");
        EXPECT(r->groups && r->groups < 1u << EXEMPT_ALL, "groups %x", r->groups);
        before = r->line;
        exempt_glob(r->library, "/usr/lib/x86_64-linux-gnu/libaaaaaaaaaaaaaaaaaaaaab.so.1");
        bool all = strspn(r->library, "*") == strlen(r->library);
        EXPECT(exempt_glob(r->library, "") == all, "nothing is not %s", r->library);
        EXPECT(exempt_glob(r->library, r->library), "%s is not itself", r->library);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct exempt_rules rules;
    /* A copy of just that size, so that the sanitizer sees one byte too many. */
    char *text = malloc(size);
    EXPECT(text != NULL || size == 0, "no memory");
    if (size) memcpy(text, data, size);
    text_begin = text;
    text_end_at = text + size;
    memset(&rules, 0, sizeof rules);
    complaints = line_last = 0;
    exempt_parse(&rules, text, size, complain);
    check(&rules, text, size);
    free(text);
    return 0;
}
