/* The limits of the shell that the doctor was called from, which its programs inherit. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cgroup.h"
#include "doctor.h"
#include "human.h"

/* ---- control group ---------------------------------------------------------------------------- */

static void check_group_limit(struct doctor *d, const struct cgroup_memory *c)
{
    if (c->limit == CGROUP_UNLIMITED) {
        doctor_find(d, LEVEL_OK, "cgroup memory limit", NULL, NULL, "none (version %d); %s used",
                    c->version, HUMAN(bytes, c->used));
        return;
    }
    unsigned percent = human_percent(c->used, c->limit);
    doctor_find(d, percent >= 90 ? LEVEL_BAD : LEVEL_NOTE, "cgroup memory limit",
                "at the limit the kernel kills a process of the group; malloc does not fail before",
                "raise memory.max (version 1: memory.limit_in_bytes), or the container's --memory",
                "%s; %s used (%u %%), set in %s", HUMAN(bytes, c->limit), HUMAN(bytes, c->used),
                percent, c->holder);
}

static void check_group_high(struct doctor *d, const struct cgroup_memory *c)
{
    if (c->high == CGROUP_UNLIMITED) return;
    doctor_find(d, c->high_used >= c->high ? LEVEL_BAD : LEVEL_NOTE, "cgroup memory.high",
                "above it every allocating thread is slowed down while the kernel reclaims",
                "raise memory.high of the group", "%s; %s used", HUMAN(bytes, c->high),
                HUMAN(bytes, c->high_used));
}

static void check_group_swap(struct doctor *d, const struct cgroup_memory *c)
{
    if (c->swap_limit == CGROUP_UNLIMITED) return;
    doctor_find(d, LEVEL_OK, "cgroup swap limit", NULL, NULL, "%s", HUMAN(bytes, c->swap_limit));
}

static void check_group_kills(struct doctor *d, const struct cgroup_memory *c)
{
    if (c->kills == 0) return;
    doctor_find(d, LEVEL_NOTE, "cgroup kills",
                "processes that vanished without a message were killed for memory",
                "journalctl -k | grep -i oom shows which", "%s processes killed for memory",
                HUMAN(exact, c->kills));
}

static void check_group(struct doctor *d)
{
    struct cgroup_memory c;
    cgroup_memory_read(&c);
    if (c.version == 0) {
        doctor_find(d, LEVEL_OK, "cgroup memory limit", NULL, NULL, "%s",
                    access("/proc/self", F_OK) != 0 ? "not known: /proc is not mounted"
                    : c.group[0] ? "not known: its file system is not mounted here"
                                 : "no memory controller here");
        return;
    }
    check_group_limit(d, &c);
    check_group_high(d, &c);
    check_group_swap(d, &c);
    check_group_kills(d, &c);
}

/* ---- ulimit ----------------------------------------------------------------------------------- */

static const char *limit_text(struct human *h, rlim_t limit)
{
    return limit == RLIM_INFINITY ? "unlimited" : human_bytes(h, limit);
}

static void check_address_space(struct doctor *d)
{
    struct rlimit limit;
    struct human h;
    if (getrlimit(RLIMIT_AS, &limit) != 0) return;
    bool tight = limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < (rlim_t)1 << 30;
    bool none = limit.rlim_cur == RLIM_INFINITY;
    doctor_find(d,
                none    ? LEVEL_OK
                : tight ? LEVEL_BAD
                        : LEVEL_NOTE,
                "ulimit -v (RLIMIT_AS)",
                "it limits addresses, not memory: Freehold can reserve only three quarters of it, "
                "and libraries, stacks and files need the rest",
                "ulimit -v unlimited; to limit memory use a cgroup: systemd-run --scope -p "
                "MemoryMax=1G PROG",
                "%s", limit_text(&h, limit.rlim_cur));
}

static void check_data(struct doctor *d)
{
    struct rlimit limit;
    struct human h;
    if (getrlimit(RLIMIT_DATA, &limit) != 0) return;
    doctor_find(d, limit.rlim_cur == RLIM_INFINITY ? LEVEL_OK : LEVEL_NOTE,
                "ulimit -d (RLIMIT_DATA)",
                "it counts all private writable memory, an allocator's kept-free memory included",
                "ulimit -d unlimited", "%s", limit_text(&h, limit.rlim_cur));
}

static void check_stack(struct doctor *d)
{
    struct rlimit limit;
    struct human h;
    if (getrlimit(RLIMIT_STACK, &limit) != 0) return;
    bool none = limit.rlim_cur == RLIM_INFINITY;
    bool large = !none && limit.rlim_cur > (rlim_t)64 << 20;
    doctor_find(d, none || large ? LEVEL_NOTE : LEVEL_OK, "ulimit -s (RLIMIT_STACK)",
                none ? "the kernel lays the address space out the old way, with little room below "
                       "the libraries"
                     : "each thread reserves that much address space for its stack",
                "ulimit -s 8192", "%s", limit_text(&h, limit.rlim_cur));
}

void doctor_limits(struct doctor *d)
{
    check_group(d);
    check_address_space(d);
    check_data(d);
    check_stack(d);
}
