/*
 * Pointers of a process that only the kernel keeps for it: the data of what is registered with epoll, and
 * the value of its timers. A server may well keep a connection by nothing else.
 *
 * They are read while the process runs, before the stop and after it: what was there at the stop is in one
 * of the two, unless it came and went in a moment. What io_uring and asynchronous input hold is not told by
 * the kernel.
 */
#ifndef CLI_KERNEL_WORDS_H
#define CLI_KERNEL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kernel_words {
    uint64_t *list;
    size_t count, capacity;
};

/* Adds what is there now; what cannot be read is left out. False: no memory. */
bool kernel_words_read(struct kernel_words *w, pid_t pid);
bool kernel_words_add(struct kernel_words *w, uint64_t word);
void kernel_words_finish(struct kernel_words *w);

/* The words of one text: "... data: 55d0c0ffee ..." of fdinfo, "signal: 14/00007f..." of timers. */
bool kernel_words_parse(struct kernel_words *w, const char *text, size_t size, const char *before);

#endif
