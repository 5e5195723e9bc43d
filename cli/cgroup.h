/*
 * The memory limits of the control group that this process is in: version 1 or 2, or both side by
 * side as on this-or-that distribution, with or without a group namespace. A limit of an ancestor
 * counts as well, and the tightest is what bites.
 */
#ifndef CLI_CGROUP_H
#define CLI_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#define CGROUP_UNLIMITED UINT64_MAX

struct cgroup_memory {
    int version;          /* 1, 2; 0: no memory controller to be seen */
    char group[512];      /* the group's path in its hierarchy; with version 0: it is not mounted */
    char holder[1100];    /* directory of the group with the tightest limit; "" if there is none */
    uint64_t limit, used; /* of the holder; without a limit, `used` is the group's own */
    uint64_t high;        /* the tightest memory.high (version 2) */
    uint64_t high_used;
    uint64_t swap_limit; /* the tightest of memory.swap.max (version 2) */
    uint64_t kills;      /* processes of the group that were killed for memory (version 2) */
};

void cgroup_memory_read(struct cgroup_memory *c);

/* The parts, for tests. The path of the group that has the memory controller; its version or 0. */
int cgroup_of(const char *proc_cgroup, char *path, unsigned capacity);

/* Where that hierarchy is mounted, and which of its groups is the root of the mount. */
bool cgroup_mount(const char *mountinfo, int version, char *root, char *at, unsigned capacity);

#endif
