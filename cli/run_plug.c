/*
 * The option --plug of `freehold run`: option plug for the library, and a `freehold plug` for the program.
 *
 * That is a process of its own, since a look waits and searches for long, and what we do meanwhile is to pass signals
 * on. It has a session of its own: ^C is for the program. The library is told its id before the program begins, by the
 * shared file, so that it does not start another, and lets it look where only ancestors may (Yama). Children of the
 * program start their own.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "run.h"

int plug_option(const struct plug_wish *wish, const char *options, char **list)
{
    char age[40] = "", rate[40] = "";
    if (wish->age_ms) snprintf(age, sizeof age, ",plug_age=%llu", (unsigned long long)wish->age_ms);
    if (wish->rate) snprintf(rate, sizeof rate, ",plug_rate=%llu", (unsigned long long)wish->rate);
    if (asprintf(list, "%s%splug=1%s%s", options ? options : "", options ? "," : "", age, rate) >=
        0)
        return 0;
    *list = NULL;
    return refuse(STATUS_OWN_FAILURE, "out of memory");
}

static _Noreturn void become_looker(pid_t pid, bool quiet)
{
    char path[PATH_MAX] = "", number[24];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) path[length] = 0;
    snprintf(number, sizeof number, "%d", (int)pid);
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) dup2(null, STDIN_FILENO), dup2(null, STDOUT_FILENO);
    execl(path, "freehold", "plug", "--by-run", number, quiet ? "--quiet" : NULL, NULL);
    say("cannot look for what the program loses: %s", path);
    _exit(STATUS_OWN_FAILURE);
}

void plug_begin(const struct plug_wish *wish, struct fh_run_slot *first, pid_t pid,
                void (*ready)(void))
{
    pid_t looker = fork();
    if (looker == 0) {
        ready();
        become_looker(pid, wish->quiet);
    }
    if (looker < 0) {
        say("no process for --plug: nothing that the program loses is given back");
        return;
    }
    first->plug_by = (uint32_t)looker;
    first->plug_pid = (uint32_t)pid;
}
