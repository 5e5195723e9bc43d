/*
 * The end of a process that `freehold run --leaks` looks into: it stands until that is done.
 *
 * The command stops it from outside and walks its heap as `freehold leaks PID` does, so that there is one
 * marker and nothing of it runs in here. All that this side does is to wait at the right moment: after
 * everything that was registered for the end, destructors of modules included, when what is not freed will
 * not be; and before exit_group, while all threads are there with what their stacks hold.
 *
 * The handlers of exit() run in the reverse order of their registration, and libc registers the one that
 * runs the destructors of modules after the constructors of shared libraries: so one that such a constructor
 * registers for no module runs last of all. (In a static program it runs before destructors in .fini_array.)
 *
 * Rejected: a destructor of this library, which runs before those of the libraries that it knows nothing of,
 * so that what they free would look lost or live; SIGSTOP, which shells and supervisors take notice of; to be
 * traced, which a program may see and which costs a stop for each signal.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <time.h>

#include "base/syscall.h"
#include "face/face.h"
#include "os/os.h"

bool locked_in;

int __cxa_atexit(void (*handler)(void *), void *argument, void *module);

static bool is_wanted(const struct fh_run_slot *first)
{
    return first && (first->look_pid == FH_LOOK_EVERY || first->look_pid == os_process_id());
}

/* The file has its name as long as the command lives; the name is out of reach after a chroot, and not to be
 * opened by another user. FH_LOOK_ASKED: it lives, and may be asked. */
static uint32_t command_state(const struct fh_run_slot *first)
{
    if (SYS0(SYS_getppid) == (long)first->look_by) return FH_LOOK_ASKED;
    int fd = os_file_open(options.run_file_path);
    if (fd >= 0) os_file_close(fd);
    if (fd >= 0) return FH_LOOK_ASKED;
    return fd == -EACCES || fd == -EPERM ? FH_LOOK_FORBIDDEN : FH_LOOK_UNFOUND;
}

/* Not os_wait: the word is shared with another process. */
static void wait_for_look(const struct fh_run_slot *first, uint32_t *look)
{
    const struct timespec patience = {.tv_nsec = 100000000};
    while (__atomic_load_n(look, __ATOMIC_ACQUIRE) == FH_LOOK_ASKED &&
           command_state(first) == FH_LOOK_ASKED)
        SYS4(SYS_futex, look, FUTEX_WAIT, FH_LOOK_ASKED, &patience);
}

/* The child of a fork has the handler too, and may not be wanted. */
static void stand(void *unused)
{
    struct fh_run_slot *first = run_slot_first(), *own = run_slot_own();
    uint32_t none = FH_LOOK_NONE, asked = FH_LOOK_ASKED;
    (void)unused;
    if (own == NULL || policy_heaps() == 0 || !is_wanted(first)) return;
    uint32_t state = locked_in ? FH_LOOK_LOCKED_IN : command_state(first);
    if (!__atomic_compare_exchange_n(&own->look, &none, state, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        return;
    if (state != FH_LOOK_ASKED) return;
    if (!base_syscall_failed(SYS2(SYS_kill, first->look_by, SIGURG)))
        wait_for_look(first, &own->look);
    else
        __atomic_compare_exchange_n(&own->look, &asked, FH_LOOK_FORBIDDEN, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE);
}

void look_at_end(void)
{
    if (is_wanted(run_slot_first())) __cxa_atexit(stand, NULL, NULL);
}
