/*
 * pressure: what wakes a thread that watches over memory: stall told by the kernel (PSI), events of a control
 * group, another thread of the process, a clock.
 *
 * The thread has a table of file descriptors of its own, empty when it begins. So none of what it opens is seen by
 * the program, which may close all its descriptors, pass them on by fork and exec, or count them; and nothing that
 * the program then opens under such a number is ever read or written here by mistake.
 *
 * For one thread, which is no thread of libc's: raw system calls only.
 */
#ifndef OS_PRESSURE_H
#define OS_PRESSURE_H

#include "base/base.h"

struct cgroup;

enum {
    PRESSURE_STALL = 1, /* somebody waited for memory, too long in too short a time */
    PRESSURE_LEVEL = 2, /* of the control group: an event, or a threshold was passed */
    PRESSURE_POKED = 4, /* by os_pressure_poke */
};

struct os_pressure {
    int stall, level, usage, poke; /* descriptors, negative for none */
    /* Time waited so far, in us, by the whole group: lately, and at least a second before that. */
    struct os_stall {
        uint64_t total, ms;
    } now, before;
};

/* Gives this thread an empty table of descriptors. False where the kernel cannot (before 5.9). */
bool os_files_leave(void);

/* What there is to wait for. */
void os_pressure_open(struct os_pressure *p, const struct cgroup *c);
void os_pressure_close(struct os_pressure *p);

/* Version 1: wakes when the group's usage passes `bytes`. Called again for another threshold. */
void os_pressure_threshold(struct os_pressure *p, const struct cgroup *c, uint64_t bytes);

/* Waits for at most `ms`; which of the above came. */
unsigned os_pressure_wait(struct os_pressure *p, uint64_t ms);

/* Wakes that thread of this process from any other. */
void os_pressure_poke(uint32_t thread);

/* A file to append to, made if it is not there, for its owner alone. Negative: -errno; -EISDIR, -EINVAL for what is
 * no regular file. */
int os_log_open(const char *path);

/* Bytes written by one call, or -errno. */
long os_log_write(int fd, const char *text, size_t length);
uint64_t os_log_size(int fd);
void os_log_cut(int fd);
/* Up to size bytes of its beginning. */
long os_log_peek(int fd, char *buffer, size_t size);

/* For each page of committed memory whether it is resident, in bit 0 of a byte. */
bool os_vm_resident(const void *p, size_t size, unsigned char *pages);

/* Keeps what the thread itself needs in memory; a hint. */
void os_vm_keep(const void *p, size_t size);

/* Seconds since 1970. */
uint64_t os_date(void);

#endif
