/*
 * The file in which every process of a run keeps its figures: an anonymous one (memfd), so that
 * nothing is left behind however the run ends. The library opens it by the name that /proc gives
 * it, rather than inheriting a descriptor, which the program might close, reuse or trip over; it
 * knows the file by its seals, size and magic, and writes to no other.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run.h"

bool slots_create(struct slots *slots)
{
    size_t size = FH_RUN_SLOTS * sizeof(struct fh_run_slot);
    slots->fd = memfd_create("freehold-run", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (slots->fd < 0 || ftruncate(slots->fd, (off_t)size) != 0) return false;
    const char magic[8] = FH_RUN_MAGIC;
    if (pwrite(slots->fd, magic, sizeof magic, offsetof(struct fh_run_slot, magic)) < 0)
        return false;
    /* Whoever maps it is safe from a file that shrinks. */
    if (fcntl(slots->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return false;
    snprintf(slots->path, sizeof slots->path, "/proc/%d/fd/%d", (int)getpid(), slots->fd);
    return true;
}

struct fh_run_slot *slots_read(const struct slots *slots, size_t *count, size_t *claimed)
{
    size_t size = FH_RUN_SLOTS * sizeof(struct fh_run_slot);
    struct fh_run_slot *all = calloc(1, size);
    *count = *claimed = 0;
    if (!all || pread(slots->fd, all, size, 0) != (ssize_t)size) return all;
    *claimed = all[0].claimed;
    size_t used = *claimed < FH_RUN_SLOTS ? *claimed : FH_RUN_SLOTS;
    for (size_t i = 0; i < used; i++) {
        if (all[i].pid == 0) continue; /* claimed, and ended before it was filled */
        struct fh_run_slot slot = all[i];
        slot.program[sizeof slot.program - 1] = 0;
        human_clean(slot.program, sizeof slot.program, all[i].program);
        all[(*count)++] = slot;
    }
    return all;
}
