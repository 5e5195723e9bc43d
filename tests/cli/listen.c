/*
 * Says what it gets: the name of each signal, and "read " with each line of its stdin, at whose end it
 * exits with 42. Signals come through a descriptor beside stdin, so that none can be lost between
 * looking and waiting.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int signals_open(void)
{
    static const int heard[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
                                SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++) sigaddset(&set, heard[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static void hear_signal(int fd)
{
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) == sizeof info) puts(sigabbrev_np((int)info.ssi_signo));
}

/* False at the end of the input. */
static int hear_line(void)
{
    char line[256];
    ssize_t n = read(0, line, sizeof line);
    if (n <= 0) return 0;
    printf("read %.*s", (int)n, line);
    return 1;
}

int main(void)
{
    struct pollfd sources[] = {{.fd = signals_open(), .events = POLLIN},
                               {.fd = 0, .events = POLLIN}};
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    for (;;) {
        if (poll(sources, 2, -1) < 0) continue;
        if (sources[0].revents) hear_signal(sources[0].fd);
        if (!sources[0].revents && sources[1].revents && !hear_line()) return 42;
    }
}
