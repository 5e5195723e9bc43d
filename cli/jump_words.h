/*
 * Pointers in the buffers of setjmp and of pthread_cleanup. glibc keeps the stack pointer, the frame pointer and the
 * program counter there as  rol(word ^ guard, 17),  and the guard in each thread's control block: so a coroutine's stack
 * that is known by its jmp_buf alone, or a block by what was in the frame register, would look lost.
 *
 * Every aligned word of the memory is taken back from that form, wherever it lies; what then points into the heap counts as a
 * root. By chance a word in 2^23 does, of a heap that has 2^41 bytes of addresses, and of these few point to a block.
 *
 * Not known: the guard on 64-bit Arm, which the linker keeps to itself. Other C libraries do not encrypt.
 */
#ifndef CLI_JUMP_WORDS_H
#define CLI_JUMP_WORDS_H

#include "image.h"

/* Adds to the image's words those that point between `base` and `limit`. False: no memory. */
bool jump_words_find(struct image *image, uint64_t base, uint64_t limit);

#endif
