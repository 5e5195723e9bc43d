/*
 * A frozen picture of a running process, for the price of one fork.
 *
 *     freeze_begin      seize and stop all threads; read their registers; one of them is made to
 *                       clone the process (no signal on exit)
 *       ...             what a fork leaves out is read now
 *     freeze_go_on      all go on
 *       ...             the child stands still, is read at leisure; the process runs
 *     freeze_release    the child is killed, and the process made to reap it: no trace is left
 *
 * The process must not notice. So:
 *   - A system call that a ptrace stop made fail with EINTR, and that the kernel does not restart by
 *     itself (epoll_wait, semop, sigtimedwait ...), is put back as soon as the thread stands.
 *   - At no instant does it depend on us. The thread that makes the call returns from it into a signal
 *     frame below its stack, which restores every register, should we be killed; a child without us
 *     returns into a frame that calls exit_group.
 *   - No thread stands for another that does not stop, beyond a time: all go on, and it is refused.
 *   - Nothing is risked for a better picture. Where the call might be refused with a signal (seccomp),
 *     or there is no stack to write the frames to, the threads stay stopped and the memory is read from
 *     the process itself: longer, and said.
 *
 * Rejected: PTRACE_O_EXITKILL (it would kill the process with us), dlopen of a helper (it runs the
 * process's own malloc), a second fork that leaves the child to init (in a container the process itself
 * may be init, and would see a child that it never made).
 */
#ifndef CLI_FREEZE_H
#define CLI_FREEZE_H

#include "machine.h"
#include "maps.h"

struct frozen_thread {
    pid_t tid;
    int signal;   /* to be delivered when it goes on */
    bool trapped; /* stands because of us, so that it may be used for a call */
    struct machine_registers registers;
};

enum { FREEZE_WHY = 400 };

struct freeze {
    pid_t pid;
    const char *command; /* for the advice: as in "leaks" */
    pid_t child;         /* 0: the process itself stands still */
    long child_inside;   /* its id as the process knows it, which may be in a container */
    bool holding;        /* its threads stand still */
    bool own;            /* we started it */
    struct frozen_thread *threads;
    size_t count, capacity;
    struct machine_gadgets gadgets;
    pid_t late; /* a thread that did not stop in time, and may be asked to still; 0 */
    uint64_t began_ns, asked_ns;
    uint64_t stopped_us;       /* how long the threads stood */
    char fallback[FREEZE_WHY]; /* why it was not cloned; "" */
    char why[FREEZE_WHY];      /* of a failure: one line, with what to do */
};

/* Runs `act` in a thread of its own, while the signals that would end us wait: all of the below are called in it. A
 * thread of the process that could not be let go of is so when it returns. */
void freeze_apart(void (*act)(void *), void *context);

/* Says in `why` what stands against it (no such process, another user's, traced, a zombie ...). */
bool freeze_possible(struct freeze *f, pid_t pid, const char *command);

/* `copy` demands that the process itself is read. False: `why` says it, nothing is held. */
bool freeze_begin(struct freeze *f, pid_t pid, const char *command, const struct maps *maps,
                  bool copy);

/* The threads go on, if there is a child. */
void freeze_go_on(struct freeze *f);

/* The process whose memory is to be read. */
pid_t freeze_source(const struct freeze *f);

/* Ends what freeze_begin has begun; may be called twice. */
void freeze_release(struct freeze *f);
void freeze_finish(struct freeze *f);

#endif
