/*
 * What the seccomp filters of a stopped thread answer to a system call, by running them here on the same data.
 *
 * The kernel shows them to whoever has CAP_SYS_ADMIN and is under none itself (PTRACE_SECCOMP_GET_FILTER). Anybody
 * else is told "no": nothing may be risked on a guess.
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* All of them are known and let the call pass. */
bool filter_allows(pid_t tid, const struct seccomp_data *call);

/* The answer of one (SECCOMP_RET_...); a malformed one answers SECCOMP_RET_KILL_PROCESS. */
unsigned filter_run(const struct sock_filter *rules, size_t count, const struct seccomp_data *call);

#endif
