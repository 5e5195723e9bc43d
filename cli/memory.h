/*
 * The memory of another process, read without stopping it.
 *
 * A reader of a structure there (link_map.c, heap_view.c) takes a `struct memory`, not a process, so
 * that a fuzzer can give it bytes of its own choosing.
 */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct memory {
    /* All of `size` bytes at `address`, or false. */
    bool (*read)(void *context, uint64_t address, void *to, size_t size);
    void *context;
};

/* Reads with process_vm_readv, else through /proc/PID/mem: a container's seccomp filter may forbid
 * the first and allow the second. */
struct process_memory {
    pid_t pid;
    int fd;    /* /proc/PID/mem, opened when needed; -1 */
    int error; /* errno of the last failure */
};
struct memory memory_of(struct process_memory *context, pid_t pid);
void memory_finish(struct process_memory *context);

static inline bool memory_read(const struct memory *m, uint64_t address, void *to, size_t size)
{
    return m->read(m->context, address, to, size);
}

/* A word of 4 or 8 bytes, as wide as the process's pointers. */
bool memory_word(const struct memory *m, unsigned width, uint64_t address, uint64_t *value);

#endif
