/*
 * The parser of options, over os/fake, which keeps its messages. Any text may come in an environment;
 * whatever it is, every option must stay within its bounds, can be read back, and means the same when
 * it is set to what was read.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "face/face.h"
#include "kit/expect.h"
#include "os/fake/fake.h"

enum { TEXT_MAX = 600 };

/* Below 0: as the level says. Those are the hardened library's. */
static void check_option(const char *key, int64_t value, int64_t smallest, int64_t largest,
                         const char *when)
{
    char text[300];
    if (strcmp(when, "HARDENED") == 0 && !options_hardened) {
        EXPECT(fh_option_get(key, text, sizeof text) == -ENOENT, "%s can be read", key);
        return;
    }
    if (largest && value != -1)
        EXPECT(value >= smallest && value <= largest, "%s is %lld", key, (long long)value);
    EXPECT(fh_option_get(key, text, sizeof text) == 0, "%s cannot be read", key);
    int set = fh_option_set(key, text);
    EXPECT(set == 0 || set == -EPERM, "%s=%s: %d", key, text, set);
}

static void check_options(void)
{
#define OPTION(name, type, standard, smallest, largest, when, unit, sentence)                      \
    check_option(#name, options.name, smallest, largest, #when);
#include "face/options.def"
#undef OPTION
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    size_t length = size < TEXT_MAX ? size : TEXT_MAX;
    memcpy(text, data, length);
    text[length] = 0;
    os_fake.quiet = true;
    options_hardened = size % 2; /* the options of both libraries */
    os_fake.said_length = 0;
    if (strncmp(text, "strict", 6) != 0 &&
        strstr(text, ",strict") == NULL) { /* which rightly ends the program */
        options_parse(text, "fuzz");
        check_options();
    }
    char *value = strchr(text, '=');
    if (value) *value++ = 0;
    fh_option_set(text, value ? value : "");
    check_options();
    return 0;
}
