/* The two ways into the memory of another process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memory.h"

static bool read_file(struct process_memory *p, uint64_t address, void *to, size_t size)
{
    if (p->fd < 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/mem", (int)p->pid);
        p->fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (p->fd < 0 || address > INT64_MAX) {
        p->error = p->fd < 0 ? errno : EFAULT;
        return false;
    }
    ssize_t n = pread(p->fd, to, size, (off_t)address);
    p->error = n < 0 ? errno : EFAULT;
    return n == (ssize_t)size;
}

static bool read_process(void *context, uint64_t address, void *to, size_t size)
{
    struct process_memory *p = context;
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)address, size};
    if (process_vm_readv(p->pid, &here, 1, &there, 1, 0) == (ssize_t)size) return true;
    return read_file(p, address, to, size);
}

struct memory memory_of(struct process_memory *context, pid_t pid)
{
    *context = (struct process_memory){.pid = pid, .fd = -1};
    return (struct memory){read_process, context};
}

void memory_finish(struct process_memory *context)
{
    if (context->fd >= 0) close(context->fd);
    context->fd = -1;
}

bool memory_word(const struct memory *m, unsigned width, uint64_t address, uint64_t *value)
{
    uint32_t narrow;
    if (width == 8) return memory_read(m, address, value, 8);
    if (!memory_read(m, address, &narrow, 4)) return false;
    *value = narrow;
    return true;
}
