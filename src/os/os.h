/*
 * os: the one door to the kernel. os/linux keeps this contract with system calls, os/fake with an
 * arena it can refuse, so that tests run out of memory at the n-th request and move the clock.
 *
 * Contract of the memory calls. Sizes and addresses are multiples of os_page_size() unless said
 * otherwise; no call allocates, prints, or changes errno; all may be called from any thread.
 *
 *   reserved   addresses that are ours and fault when touched
 *   committed  readable and writable; pages appear on first touch, filled with zeros
 */
#ifndef OS_OS_H
#define OS_OS_H

#include "base/base.h"

/* Bytes of a page of this kernel: 4, 16 or 64 KiB. */
size_t os_page_size(void);

/* ---- memory ------------------------------------------------------------------------------ */

/* Reserves `size` bytes at a multiple of `align` (a power of two), or returns NULL. Costs no
 * memory and is not counted by overcommit accounting. */
void *os_vm_reserve(size_t size, size_t align);

/* Makes reserved memory read as zeros, without making it count as memory. */
bool os_vm_readable(void *p, size_t size);

/* Makes reserved memory readable and writable. False when the kernel refuses (limits, overcommit). */
bool os_vm_commit(void *p, size_t size);

/* Gives the pages back: RSS falls at once (MADV_DONTNEED) and they read as zeros afterwards.
 * False when the kernel refused (locked pages): the contents are then unchanged. */
bool os_vm_purge(void *p, size_t size);

/* Gives addresses back. */
void os_vm_release(void *p, size_t size);

/* Moves `size` bytes of pages from `from` to `to` (both committed, disjoint) by their page tables.
 * Afterwards `from` is committed and reads as zeros. False: nothing happened; copy instead. */
bool os_vm_move(void *to, void *from, size_t size);

/* Asks for the pages to be there before they are touched; a hint. */
void os_vm_populate(void *p, size_t size);

/* Whether the range belongs into core dumps; a hint. */
void os_vm_dump(void *p, size_t size, bool yes);

/* Names the range in /proc/PID/maps where the kernel can (5.17 and later); a hint. */
void os_vm_name(void *p, size_t size, const char *name);

/* How much address space this process may still map, or SIZE_MAX when there is no limit. */
size_t os_vm_address_space_left(void);

/* ---- time, threads, randomness, environment ----------------------------------------------- */

/* Monotonic milliseconds; coarse, no system call on the usual kernels. */
uint64_t os_clock_ms(void);

uint32_t os_thread_id(void);
uint32_t os_process_id(void);

/* Starts `entry(argument)` in a helper thread that libc does not know: it must use raw system
 * calls and no thread-local storage. One at a time per `stack`. False when the kernel refuses.
 * `*alive` is 1 from before the thread runs until the kernel has freed its stack. */
bool os_helper_start(void (*entry)(void *), void *argument, void *stack, size_t stack_size,
                     _Atomic int *alive);
_Noreturn void os_helper_exit(void);

/* Called by the helper: whether it still has the user ids of its process. setuid() changes them only
 * for threads that libc knows. */
bool os_helper_is_current(void);

/* Sleeps while *word == value, at most `ms` milliseconds. */
void os_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ms);
void os_wake(_Atomic uint32_t *word);

/* Never fails: getrandom, else the kernel's AT_RANDOM bytes mixed with the clock. */
uint64_t os_random(void);

/* The value of an environment variable, or NULL. Under AT_SECURE (setuid and the like) always
 * NULL: whoever starts a privileged program must not steer its allocator. */
const char *os_environment(const char *name);

/* A file to read, close-on-exec; negative if it cannot be opened. Reads return bytes, 0 at the end. */
int os_file_open(const char *path);
long os_file_read(int fd, char *buffer, size_t size);
void os_file_close(int fd);

/* Maps a file in memory (memfd) of exactly `size` bytes, whose size is sealed, shared, for reading and
 * writing. NULL for every other file: no file of a file system can have those seals, so that a
 * path that somebody gave cannot lead to a write into anything that was there before. */
void *os_memfd_map(const char *path, size_t size);

/* Writes all of a message to a file descriptor; false if it did not take it. */
bool os_write(int fd, const char *text, size_t length);

#endif
