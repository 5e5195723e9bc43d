/*
 * A thread of our own for whatever stops a process.
 *
 * A thread that was asked to stop and does not cannot be let go of by a call; the kernel does it when the thread that
 * asked has ended. So that one is not the command's first. It does not see the signals that would end us in the
 * middle: they take effect when nothing stands any more.
 */
#include <pthread.h>
#include <signal.h>

#include "freeze_inside.h"

const int freeze_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, 0};

struct apart {
    void (*act)(void *);
    void *context;
};

static void *act_apart(void *argument)
{
    const struct apart *a = argument;
    a->act(a->context);
    return NULL;
}

void freeze_apart(void (*act)(void *), void *context)
{
    struct apart apart = {act, context};
    sigset_t set, before;
    pthread_t thread;
    sigemptyset(&set);
    for (const int *s = freeze_signals; *s; s++) sigaddset(&set, *s);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    if (pthread_create(&thread, NULL, act_apart, &apart) == 0)
        pthread_join(thread, NULL);
    else
        act(context); /* then it is let go of when we end */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
