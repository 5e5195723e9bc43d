/*
 * Starting `freehold plug` from inside a program that must not notice: no SIGCHLD, no child for its wait(), no
 * descriptor or signal of its own in the command, no allocation, no lock, no handler of libc's.
 *
 *     this thread --clone, vfork-like, no exit signal--> middle --clone--> looker --execve--> freehold plug PID
 *          |                                                |
 *          +--- waits for the middle by its id <--- exits --+       the looker becomes a child of init
 *
 * Both share our memory and let us wait until they are gone from it; signals are blocked meanwhile, so that no handler
 * of the program runs in them. The middle is needed because execve gives a child its exit signal back. While it is
 * there (some 100 us) only a wait() that asks for clone children could see it.
 *
 * A program that adopts orphans (PID 1 of a container, PR_SET_CHILD_SUBREAPER) would get the looker for a child after
 * all: there it is not started, and a line says what to do instead.
 *
 * The command is the one beside the library's own file, else that of the prefix of the installation; never one that
 * the environment names.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "base/format.h"
#include "base/syscall.h"
#include "face/plug.h"
#include "os/os.h"

#ifndef FH_COMMAND
#define FH_COMMAND "/usr/local/bin/freehold"
#endif
#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

enum { PATH_ROOM = 512, STACK_ROOM = 16 << 10, WAIT_ALL = 0x40000000 /* __WALL */ };

static char stacks[2][STACK_ROOM] __attribute__((aligned(64)));

static struct {
    char path[PATH_ROOM], pid[24];
    char *argv[5], *envp[1];
    _Atomic long looker; /* its id, or a negative errno */
    _Atomic long error;  /* of execve */
} launch;

/* ---- where it is ---------------------------------------------------------------------------------------- */

/* The file that holds an address: a line of maps that does not fit the buffer is none of ours. */
static bool file_of(uintptr_t address, char *path, size_t capacity)
{
    char buffer[PATH_ROOM + 128];
    size_t have = 0;
    bool found = false;
    int fd = os_file_open("/proc/self/maps");
    for (long n;
         !found && fd >= 0 && (n = os_file_read(fd, buffer + have, sizeof buffer - have)) > 0;) {
        size_t start = 0;
        have += (size_t)n;
        for (size_t i = 0; !found && i < have; i++) {
            if (buffer[i] != '\n') continue;
            found = face_maps_path(buffer + start, buffer + i, address, path, capacity);
            start = i + 1;
        }
        have = start == 0 && have == sizeof buffer ? 0 : have - start;
        for (size_t i = 0; i < have; i++) buffer[i] = buffer[start + i];
    }
    if (fd >= 0) os_file_close(fd);
    return found;
}

static bool is_runnable(const char *path)
{
    return SYS3(SYS_faccessat, AT_FDCWD, path, X_OK) == 0;
}

/* The folder of `self`, and from there. */
static bool beside(const char *self, const char *from, char *path, size_t capacity)
{
    size_t folder = 0;
    struct text t = {path, 0, capacity};
    for (size_t i = 0; self[i]; i++)
        if (self[i] == '/') folder = i;
    if (self[0] != '/' || folder + 32 >= capacity) return false;
    text_strn(&t, self, folder);
    text_str(&t, from);
    text_end(&t);
    return is_runnable(path);
}

bool plug_find_command(const char *self, char *path, size_t capacity)
{
    if (beside(self, "/../bin/freehold", path, capacity)) return true;
    if (beside(self, "/../../bin/freehold", path, capacity)) return true;
    struct text t = {path, 0, capacity};
    text_str(&t, FH_COMMAND);
    text_end(&t);
    return is_runnable(path);
}

/* ---- the looker, until it is another program ------------------------------------------------------------ */

static void signals_reset(void)
{
    enum { SIGNALS = 64 };
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } standard = {0};
    uint64_t none = 0;
    for (int s = 1; s <= SIGNALS; s++) SYS4(SYS_rt_sigaction, s, &standard, NULL, sizeof none);
    SYS4(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* Standard error stays, to be told on. */
static void files_leave(void)
{
    enum { FILES = 1024 };
    long null = SYS4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
    for (int fd = 0; fd <= 1; fd++)
        if (null >= 0 && null != fd) SYS3(SYS_dup3, null, fd, 0);
    if (SYS3(SYS_close_range, 3, ~0u, 0) == 0) return;
    for (int fd = 3; fd < FILES; fd++) SYS1(SYS_close, fd);
}

__attribute__((no_sanitize("address"))) static void looker_main(void *unused)
{
    (void)unused;
    SYS0(SYS_setsid);
    files_leave();
    signals_reset();
    STORE(&launch.error, -SYS3(SYS_execve, launch.path, launch.argv, launch.envp));
    for (;;) SYS1(SYS_exit_group, 127);
}

static long launch_start(void (*entry)(void *), char *stack)
{
    unsigned long flags = CLONE_VM | CLONE_VFORK;
    return base_clone(flags, stack + STACK_ROOM, NULL, entry, NULL, NULL);
}

__attribute__((no_sanitize("address"))) static void middle_main(void *unused)
{
    (void)unused;
    STORE(&launch.looker, launch_start(looker_main, stacks[1]));
    for (;;) SYS1(SYS_exit_group, 0);
}

/* ---- the door ------------------------------------------------------------------------------------------- */

static bool adopts_orphans(void)
{
    int subreaper = 0;
    SYS5(SYS_prctl, PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
    return os_process_id() == 1 || subreaper;
}

static const char *launch_failure(long error)
{
    switch (error) {
    case EAGAIN: return "no process more may be started (limits on processes)";
    case ENOMEM: return "there is no memory to start the command";
    case EPERM:
        return "it may not start the command (seccomp); freehold run --plug looks from outside";
    default: return "the command cannot be executed; reinstall bin/freehold beside the library";
    }
}

void plug_admit(long looker)
{
    SYS5(SYS_prctl, PR_SET_PTRACER, looker, 0, 0, 0);
}

static void launch_prepare(void)
{
    struct text t = {launch.pid, 0, sizeof launch.pid};
    text_dec(&t, os_process_id());
    text_end(&t);
    launch.argv[0] = (char *)"freehold";
    launch.argv[1] = (char *)"plug";
    launch.argv[2] = (char *)"--launched";
    launch.argv[3] = launch.pid;
    launch.error = launch.looker = 0;
}

const char *plug_launch(void)
{
    char self[PATH_ROOM];
    uint64_t all = ~0ull, before;
    if (adopts_orphans())
        return "it adopts orphans (PID 1, or a subreaper) and would see the command as a child; "
               "start "
               "freehold plug PID beside it, or it under freehold run --plug";
    if (!file_of((uintptr_t)&fh_registry, self, sizeof self)) self[0] = 0;
    if (!plug_find_command(self, launch.path, sizeof launch.path))
        return "the command is not beside the library (../bin/freehold, ../../bin/freehold) nor "
               "at " FH_COMMAND "; install it there, or start freehold plug PID";
    launch_prepare();
    SYS4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &before, sizeof all);
    long middle = launch_start(middle_main, stacks[0]);
    if (!base_syscall_failed(middle)) SYS4(SYS_wait4, middle, NULL, WAIT_ALL, NULL);
    SYS4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    long looker = base_syscall_failed(middle) ? middle : LOAD(&launch.looker);
    if (base_syscall_failed(looker)) return launch_failure(-looker);
    if (LOAD(&launch.error)) return launch_failure(LOAD(&launch.error) == EPERM ? EPERM : 0);
    plug_admit(looker);
    return NULL;
}
