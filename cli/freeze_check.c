/* What stands against freezing a process: each reason is one line that ends with what to do. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fields.h"
#include "file.h"
#include "freeze_inside.h"
#include "target.h"

bool freeze_refuse(struct freeze *f, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->why, sizeof f->why, format, arguments);
    va_end(arguments);
    return false;
}

bool status_read(struct file_text *text, pid_t pid, pid_t tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
    return file_read(text, path, 1 << 16);
}

bool freeze_forbidden(struct freeze *f)
{
    int64_t scope = 0;
    int pid = (int)f->pid;
    file_number("/proc/sys/kernel/yama/ptrace_scope", &scope);
    if (scope == 3)
        return freeze_refuse(f,
                             "process %d may not be stopped: kernel.yama.ptrace_scope is 3, which "
                             "only a reboot changes; take a core file (gcore needs the same; "
                             "abort the program) and look into that",
                             pid);
    if (geteuid() == 0)
        return freeze_refuse(
            f,
            "may not stop process %d although root: CAP_SYS_PTRACE is missing here "
            "(container: --cap-add SYS_PTRACE) or a security policy protects it",
            pid);
    if (scope > 0)
        return freeze_refuse(f,
                             "may not stop process %d: kernel.yama.ptrace_scope is %d; run as root "
                             "(sudo freehold %s %d), or sysctl kernel.yama.ptrace_scope=0",
                             pid, (int)scope, f->command, pid);
    return freeze_refuse(
        f,
        "may not stop process %d of %s: run as that user or as root (sudo freehold "
        "%s %d); a process that gave up its privileges needs root too",
        pid, target_owner(f->pid), f->command, pid);
}

static bool is_narrow(pid_t pid)
{
    char path[64];
    unsigned char head[EI_NIDENT] = {0};
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool narrow =
        read(fd, head, sizeof head) == (ssize_t)sizeof head && head[EI_CLASS] == ELFCLASS32;
    close(fd);
    return narrow;
}

static bool check_status(struct freeze *f, const struct file_text *status)
{
    const char *text = status->data, *state;
    uint64_t value;
    int pid = (int)f->pid;
    bool ended = field_find(text, status->size, "State", &state) > 0 && strchr("ZX", *state);
    if (ended && field_number(text, status->size, "Threads", &value) && value > 1)
        return freeze_refuse(
            f,
            "the first thread of process %d has ended while others run, and the "
            "kernel hides its memory then: look into a core file (gcore, or abort it)",
            pid);
    if (ended)
        return freeze_refuse(
            f,
            "process %d has ended (a zombie, which its parent has not waited for): "
            "its memory is gone",
            pid);
    if (field_number(text, status->size, "Tgid", &value) && value != (uint64_t)pid)
        return freeze_refuse(f, "%d is a thread of process %d: freehold %s %d", pid, (int)value,
                             f->command, (int)value);
    if (field_number(text, status->size, "TracerPid", &value) && value != 0)
        return freeze_refuse(f,
                             "process %d is traced by process %d (a debugger, strace): end that, "
                             "or take a core file with it and look into that",
                             pid, (int)value);
    if (field_find(text, status->size, "VmSize", &state) < 0)
        return freeze_refuse(f, "process %d has no memory of its own: a kernel thread", pid);
    return true;
}

bool freeze_possible(struct freeze *f, pid_t pid, const char *command)
{
    struct file_text status;
    *f = (struct freeze){.pid = pid, .command = command};
    if (pid == getpid()) return freeze_refuse(f, "cannot stop itself; give another process");
    if (access("/proc/self/status", R_OK) != 0)
        return freeze_refuse(f, "/proc is not mounted here, and all about a process is read there: "
                                "mount -t proc proc /proc");
    if (!status_read(&status, pid, pid)) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        if (!file_read(&status, path, 1 << 16))
            return freeze_refuse(f, "there is no process %d", (int)pid);
    }
    bool possible = check_status(f, &status);
    free(status.data);
    if (possible && is_narrow(pid))
        return freeze_refuse(f, "process %d is a 32-bit program: only 64-bit ones can be read",
                             (int)pid);
    return possible;
}
