/*
 * Threads of the program, for who must interrupt them: their stacks, a signal to one of them, and the
 * registers that it was interrupted with. The other half of os.h; tests over os/fake use it as it is.
 */
#ifndef OS_THREAD_H
#define OS_THREAD_H

#include <pthread.h>
#include <signal.h>

#include "os/os.h"

#define OS_REGISTERS 48 /* at most */

typedef void os_signal_fn(int signal, siginfo_t *info, void *context);

/* The calling thread's stack, from its lowest to one past its highest address, thread-local storage
 * at the top included where libc puts it there. */
bool os_stack_bounds(uintptr_t *low, uintptr_t *high);

/* Starts a thread of libc's for work of the library, with all signals blocked, so that no handler of the
 * program's runs in it. `thread` NULL: nobody will join it. False when it is refused. */
bool os_thread_start(pthread_t *thread, void *(*entry)(void *), void *argument, size_t stack_size);

/* Sends a signal to a thread of this process; false if there is no such thread. */
bool os_thread_signal(uint32_t thread, int signal);

/* Has `handler(context)` run for a signal, on the alternate stack if there is one, other signals
 * masked; interrupted system calls go on where the kernel can. */
bool os_signal_handle(int signal, os_signal_fn *handler);

/* Has `hook` run first whenever that signal comes, in whatever thread, and then whom os_signal_handle was
 * told; one hook for all. Meant for a signal that does nothing by default: false if the program handles it. */
bool os_signal_hook(int signal, os_signal_fn *hook);

/* Whether that signal still leads to the hook; programs may have changed that. From any thread. */
bool os_signal_is_hooked(int signal);

/* Stack pointer and general registers from a handler's context; returns the number of the latter. */
unsigned os_context_registers(const void *context, uintptr_t *registers, uintptr_t *stack_pointer);

/* The alternate stack as of a handler's context; false if there is none. */
bool os_context_other_stack(const void *context, uintptr_t *low, uintptr_t *high);

/* The calling thread's processor time, and monotonic time, in ns. */
uint64_t os_thread_time_ns(void);
uint64_t os_time_ns(void);

/* The calling thread takes its share of the processor in short slices, where the kernel can (6.12): then
 * it keeps others waiting for a tenth of a millisecond instead of three. */
void os_thread_short_slices(void);

void os_delay_us(uint64_t us);

unsigned os_processors(void);

/* Bytes of a processor's own second-level cache, or a guess: between 512 KiB and 4 MiB. */
size_t os_cache_size(void);

/* Sleeps while *word == value, without a limit; signals may end it early. */
void os_wait_long(_Atomic uint32_t *word, uint32_t value);

#endif
