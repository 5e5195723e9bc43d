/* Each refusal says what, why and what to do. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "fields.h"
#include "target.h"

bool target_number(const char *text, pid_t *pid)
{
    uint64_t number;
    const char *at = text, *end = text + strlen(text);
    if (!parse_dec(&at, end, &number) || at != end || number == 0 || number > INT32_MAX)
        return false;
    *pid = (pid_t)number;
    return true;
}

pid_t target_parse(const char *text, struct argp_state *state)
{
    pid_t pid = 0;
    if (strcmp(text, "self") == 0) return getpid();
    if (!target_number(text, &pid)) argp_error(state, "'%s' is not a process id", text);
    return pid;
}

error_t target_option(int key, char *argument, struct argp_state *state, pid_t *pid)
{
    switch (key) {
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) return ARGP_ERR_UNKNOWN;
        *pid = target_parse(argument, state);
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "which process? Give its id"); return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const char *target_owner(pid_t pid)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (stat(path, &status) != 0) return "another user";
    struct passwd *user = getpwuid(status.st_uid);
    return user ? user->pw_name : "another user";
}

static int forbidden(int status, const char *command, int pid)
{
    if (geteuid() == 0)
        return refuse(status,
                      "may not look into process %d although root: CAP_SYS_PTRACE is missing here "
                      "(container: --cap-add SYS_PTRACE) or a security policy protects it",
                      pid);
    return refuse(status,
                  "may not look into process %d of %s; run as that user or as root: sudo freehold "
                  "%s %d (in a container: --cap-add SYS_PTRACE)",
                  pid, target_owner(pid), command, pid);
}

/* A process without memory of its own: what is it? */
static int empty(int status, const struct process *p)
{
    char path[64];
    struct file_text text;
    const char *state;
    uint64_t parent = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    bool zombie = false;
    if (file_read(&text, path, 1 << 14) && text.data) {
        ssize_t length = field_find(text.data, text.size, "State", &state);
        zombie = length > 0 && *state == 'Z';
        field_number(text.data, text.size, "PPid", &parent);
    }
    free(text.data);
    if (zombie)
        return refuse(status,
                      "process %d (%s) has ended and has no memory any more: a zombie, until its "
                      "parent, process %d, takes notice of it",
                      (int)p->pid, p->name, (int)parent);
    return refuse(status,
                  "process %d (%s) has no memory of its own: a kernel thread, or it has ended",
                  (int)p->pid, p->name);
}

int target_refuse(int status, const char *command, enum process_error error,
                  const struct process *p)
{
    int pid = (int)p->pid;
    switch (error) {
    case PROCESS_NO_PROC:
        return refuse(status,
                      "/proc is not mounted here, and all about a process is read there: mount -t "
                      "proc proc /proc");
    case PROCESS_NONE: return refuse(status, "there is no process %d", pid);
    case PROCESS_FORBIDDEN: return forbidden(status, command, pid);
    case PROCESS_EMPTY: return empty(status, p);
    default: return refuse(status, "out of memory while looking at process %d", pid);
    }
}

int target_ended(int status, const struct process *p)
{
    return refuse(status, "process %d (%s) ended while it was looked at", (int)p->pid, p->name);
}
