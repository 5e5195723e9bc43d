/*
 * Words of a process that are in none of its memory, nor in its general registers, at the moment at which it stands:
 *
 *     vector registers        a pair of pointers that is being swapped is nowhere else
 *     epoll                   read before and after a stop, one that comes and goes is missed; now none is
 *     signals on their way    the value that sigqueue sent
 *     pipes, UNIX sockets     a pointer that one thread has sent to another; looked at, and left there
 *
 * For a look whose result is freed: kernel_words.h is enough for one that is told.
 *
 * Who uses io_uring, or the kernel's asynchronous input, is refused: what those hold is not told by the kernel. Not
 * seen either: all but the first message of a datagram socket, what travels by TCP, message queues.
 */
#ifndef CLI_STILL_WORDS_H
#define CLI_STILL_WORDS_H

#include "freeze.h"
#include "kernel_words.h"

enum { STILL_WHY = 300 };

/* Adds them; all threads of the process stand. False: `why` says it. */
bool still_words_read(struct kernel_words *words, const struct freeze *f, char why[STILL_WHY]);

/* Adds what may be addresses in some bytes. False: no memory. */
bool still_words_take(struct kernel_words *words, const void *bytes, size_t size);

#endif
