/* libFuzzer over the texts that `freehold leaks` reads: what the kernel tells of epoll and timers, and
 * files of suppressions. What is taken from them must lie within them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cli/kernel_words.h"
#include "../../cli/suppress.h"

static void fuzz_words(const char *text, size_t size)
{
    struct kernel_words words = {0};
    if (!kernel_words_parse(&words, text, size, "data:")) abort();
    if (!kernel_words_parse(&words, text, size, "/")) abort();
    if (words.count > size) abort();
    kernel_words_finish(&words);
}

static void fuzz_suppressions(const char *text, size_t size)
{
    static const struct group group = {
        .size = 72, .content = CONTENT_TEXT, .text = "session", .label = "net::S"};
    struct suppressions s;
    char path[64], why[256] = "";
    int fd = memfd_create("suppressions", MFD_CLOEXEC);
    if (write(fd, text, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (suppressions_read(&s, path, why, sizeof why))
        suppressions_match(&s, &group);
    else if (!*why)
        abort();
    suppressions_finish(&s);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char *text = malloc(size);
    if (!text) return 0;
    memcpy(text, data, size); /* not terminated: whoever reads beyond is found */
    fuzz_words(text, size);
    fuzz_suppressions(text, size);
    free(text);
    return 0;
}
