/*
 * cgroup: the memory limits of the control group that this process is in, version 1 or 2, read from inside the
 * process while memory runs short: no allocation, no libc, no descriptor that stays open.
 *
 * A limit of an ancestor counts as well; the tightest is the one that is filled most. What is filled leaves out
 * inactive file pages, as those who watch containers count: the kernel drops them before it kills anybody, and a
 * group that reads files stands at its limit all day.
 *
 * Rejected: cli/cgroup.c, which allocates and uses stdio; the command may not link the library's floors.
 */
#ifndef OS_CGROUP_H
#define OS_CGROUP_H

#include "base/base.h"

#define CGROUP_NONE UINT64_MAX /* no limit */
enum { CGROUP_PATH = 512 };

struct cgroup {
    int version;            /* 1, 2; 0: there is no memory controller to be seen */
    char path[CGROUP_PATH]; /* the group's directory */
    size_t top;             /* length of the part of it that is the mount point */
};

struct cgroup_level {
    uint64_t used, limit;   /* CGROUP_NONE: there is no limit */
    char path[CGROUP_PATH]; /* of the group that has it */
};

/* The group of this process. */
void cgroup_find(struct cgroup *c);

/* The tightest memory.max (version 1: memory.limit_in_bytes) and memory.high from the group up. */
void cgroup_read(const struct cgroup *c, struct cgroup_level *max, struct cgroup_level *high);

/* Tests: a directory that is taken for the group, of this version; NULL: none. */
extern const char *cgroup_given;
extern int cgroup_given_version;

/* ---- the parts, for tests ------------------------------------------------------------------------ */

/* A line of /proc/self/cgroup, without its end. 1 or 2 if it names the group that the memory controller of
 * that version may have, else 0; *path is where the group's path begins in the line. */
int cgroup_parse_group(const char *line, size_t length, size_t *path);

/* A line of /proc/self/mountinfo: whether it mounts that hierarchy; the root of the mount and where it is, with
 * the kernel's \040 for a space put back. False too if one does not fit. */
bool cgroup_parse_mount(const char *line, size_t length, int version, char root[CGROUP_PATH],
                        char at[CGROUP_PATH]);

/* A number with perhaps a line's end behind it. "max", what is no number, and what version 1 writes where there
 * is no limit is CGROUP_NONE. */
uint64_t cgroup_parse_number(const char *text, size_t length);

/* The number behind `name` in lines of "name number"; 0 if there is none. */
uint64_t cgroup_parse_stat(const char *text, size_t length, const char *name);

#endif
