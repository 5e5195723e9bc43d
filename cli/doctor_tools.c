/* What debuggers and profilers may do here, what is preloaded, and whether Freehold is in place. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "doctor.h"
#include "library.h"
#include "verdict.h"

static void check_ptrace(struct doctor *d)
{
    static const char *const scopes[] = {"0 (own processes)", "1 (own children)", "2 (root)",
                                         "3 (nobody, until reboot)"};
    int64_t scope;
    if (!file_number("/proc/sys/kernel/yama/ptrace_scope", &scope) || scope < 0 || scope > 3) {
        doctor_find(d, LEVEL_OK, "ptrace_scope", NULL, NULL, "no Yama: own processes");
        return;
    }
    doctor_find(d, scope == 0 ? LEVEL_OK : LEVEL_NOTE, "ptrace_scope",
                "freehold which cannot read the heaps of processes that it did not start; gdb, "
                "strace -p and perf cannot attach",
                scope == 3 ? "reboot with kernel.yama.ptrace_scope=1"
                           : "sudo for that command, or sudo sysctl kernel.yama.ptrace_scope=0",
                "%s", scopes[scope]);
}

static void check_perf(struct doctor *d)
{
    int64_t level;
    if (!file_number("/proc/sys/kernel/perf_event_paranoid", &level)) return;
    doctor_find(d, level > 2 ? LEVEL_NOTE : LEVEL_OK, "perf_event_paranoid",
                "perf shows nothing to users other than root",
                "sudo sysctl kernel.perf_event_paranoid=2", "%lld", (long long)level);
}

static void check_core(struct doctor *d)
{
    struct file_text text;
    struct rlimit limit = {0};
    getrlimit(RLIMIT_CORE, &limit);
    if (!file_read(&text, "/proc/sys/kernel/core_pattern", 4096)) return;
    bool piped = text.data[0] == '|';
    text.data[strcspn(text.data, "\n")] = 0;
    doctor_find(d, piped || limit.rlim_cur > 0 ? LEVEL_OK : LEVEL_NOTE, "core dumps",
                "a crash leaves nothing to look at", "ulimit -c unlimited", "%s%s", text.data,
                piped || limit.rlim_cur > 0 ? "" : ", but ulimit -c is 0");
    free(text.data);
}

/* ---- preloading ------------------------------------------------------------------------------- */

static bool note_missing(void *context, const char *entry)
{
    const char **missing = context;
    if (entry[0] == '/' && access(entry, R_OK) != 0) *missing = "a library of it is missing";
    return true;
}

static void check_system_preload(struct doctor *d)
{
    struct file_text text;
    const char *missing = NULL;
    if (!file_read(&text, "/etc/ld.so.preload", 4096) ||
        text.data[strspn(text.data, " \n\t")] == 0) {
        doctor_find(d, LEVEL_OK, "/etc/ld.so.preload", NULL, NULL, "nothing");
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (strchr("\n\t", text.data[i])) text.data[i] = ' ';
    }
    preload_each(text.data, note_missing, &missing);
    doctor_find(d, missing ? LEVEL_BAD : LEVEL_NOTE, "/etc/ld.so.preload",
                missing ? "every program prints a complaint of the loader on stderr"
                        : "every program loads it, before what LD_PRELOAD names is looked up",
                "edit the file as root", "%s%s%s", text.data, missing ? "; " : "",
                missing ? missing : "");
    free(text.data);
}

/* The library that checks calls of libc, if it is in this process. */
static void check_calls(struct doctor *d, const struct process *self, const struct verdict *v)
{
    const struct module *calls = process_module(self, LIBRARY_CALLS);
    if (!calls) return;
    bool hardened = v->owner && strcmp(v->owner->soname, LIBRARY_HARDENED) == 0;
    doctor_find(d, LEVEL_NOTE, "calls of libc in a plain program",
                hardened ? "programs started from this shell have them checked"
                         : "it does nothing: malloc is not that of " LIBRARY_HARDENED,
                "see LD_PRELOAD and /etc/ld.so.preload", "%s", calls->path);
}

/* This command is a plain program: it gets what others started from this shell get. */
static void check_malloc(struct doctor *d)
{
    struct process self;
    struct verdict v;
    if (process_read(&self, getpid(), NULL) == PROCESS_READ) {
        verdict_reach(&v, &self);
        bool plain = v.owner && strstr(v.owner->path, "libc.so") != NULL;
        doctor_find(d, plain ? LEVEL_OK : LEVEL_NOTE, "malloc of a plain program",
                    "programs started from this shell do not get the C library's malloc",
                    "see LD_PRELOAD and /etc/ld.so.preload", "%s, %s", verdict_name(&v),
                    v.owner ? v.owner->path : "owner unknown");
        for (size_t i = 0; i < v.ignored_count; i++)
            doctor_find(d, LEVEL_BAD, "LD_PRELOAD", "the library is not used by any program",
                        "unset it or repair it", "%s: %s", v.ignored[i].entry, v.ignored[i].reason);
        check_calls(d, &self, &v);
    }
    process_finish(&self);
}

static void check_library(struct doctor *d)
{
    char path[PATH_MAX], why[PATH_MAX + 256];
    bool found = library_locate(false, path, sizeof path, why, sizeof why);
    doctor_find(d, found ? LEVEL_OK : LEVEL_BAD, "library of freehold run",
                "freehold run refuses to run anything", "install it, or set FREEHOLD_LIBRARY", "%s",
                found ? path : why);
}

/* Which not everybody installs. */
static void check_hardened(struct doctor *d)
{
    char hardened[PATH_MAX], calls[PATH_MAX], why[PATH_MAX + 256];
    bool found = library_locate(true, hardened, sizeof hardened, why, sizeof why);
    doctor_find(d, found ? LEVEL_OK : LEVEL_NOTE, "library of freehold run --hardened",
                "freehold run --hardened refuses to run anything",
                "install it beside libfreehold.so.1", "%s", found ? hardened : why);
    if (!found) return;
    found = library_locate_calls(hardened, calls, sizeof calls, why, sizeof why);
    doctor_find(d, found ? LEVEL_OK : LEVEL_NOTE, "library of its checks of calls",
                "freehold run --hardened refuses to run anything but with calls=0",
                "install it beside " LIBRARY_HARDENED, "%s", found ? calls : why);
}

void doctor_tools(struct doctor *d)
{
    check_ptrace(d);
    check_perf(d);
    check_core(d);
    check_system_preload(d);
    check_malloc(d);
    check_library(d);
    check_hardened(d);
}
