/*
 * The file in which every process of a run keeps its figures: an anonymous one (memfd), so that
 * nothing is left behind however the run ends. The library opens it by the name that /proc gives
 * it, rather than inheriting a descriptor, which the program might close, reuse or trip over; it
 * knows the file by its seals, size and magic, and writes to no other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli.h"
#include "run.h"

/* Beyond RLIMIT_FSIZE the kernel would not only refuse, but kill us with SIGXFSZ. */
static int check_limit(size_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur >= size) return 0;
    return refuse(
        STATUS_OWN_FAILURE,
        "files may not be larger than %s here (ulimit -f), and the figures take %s; raise "
        "the limit, or preload the library without this command: LD_PRELOAD",
        HUMAN(bytes, limit.rlim_cur), HUMAN(bytes, size));
}

/* Nobody can change the size afterwards: whoever maps it is safe from a file that shrinks. */
static bool make_file(int fd, size_t size)
{
    const char magic[] = FH_RUN_MAGIC;
    return fd >= 0 && ftruncate(fd, (off_t)size) == 0 &&
           pwrite(fd, magic, sizeof magic, offsetof(struct fh_run_slot, magic)) > 0 &&
           fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
}

int slots_create(struct slots *slots)
{
    size_t size = FH_RUN_SLOTS * sizeof(struct fh_run_slot);
    int status = check_limit(size);
    if (status) return status;
    slots->fd = memfd_create("freehold-run", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    slots->first = MAP_FAILED;
    if (make_file(slots->fd, size))
        slots->first = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, slots->fd, 0);
    if (slots->first == MAP_FAILED)
        return refuse(STATUS_OWN_FAILURE, "cannot make a file in memory: %s", strerror(errno));
    snprintf(slots->path, sizeof slots->path, "/proc/%d/fd/%d", (int)getpid(), slots->fd);
    return 0;
}

void slots_finish(struct slots *slots)
{
    munmap(slots->first, FH_RUN_SLOTS * sizeof *slots->first);
    close(slots->fd);
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
