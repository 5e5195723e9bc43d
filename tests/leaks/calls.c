/*
 * calls [NUMBER]: a program that would notice being stopped. Its threads wait in every call that a stop may make
 * fail with EINTR; others compute with all registers in use. It is ready when it says so, and when its
 * input ends it says what it has seen: 0 failures is its exit status 0. With a number it has one thread,
 * which waits in that one of the calls, so that it is this thread that is made to fork.
 *
 * What could break: an EINTR where no signal was; a sleep that ends too early; a SIGCHLD, or a child that
 * nobody made, also for who waits for any; a register, or floating-point state, that is not as it was; a signal that got lost.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 70, TICK_MS = 15 }; /* some timeouts are counted in ticks of the kernel */

static atomic_bool ending;
static atomic_ulong failures, rounds, children, alarms, alarms_sent;

static void fail(const char *what, int error)
{
    fprintf(stderr, "calls: %s: %s\n", what, error ? strerror(error) : "wrong");
    failures++;
}

static void on_child(int signal)
{
    (void)signal;
    children++;
}

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

/* ---- one wait each: what it returned, with errno ---------------------------------------------- */

static int epolls(void)
{
    static _Thread_local int fd = -1;
    struct epoll_event event;
    if (fd < 0) fd = epoll_create1(0);
    return epoll_wait(fd, &event, 1, WAIT_MS);
}

static int sems(void)
{
    static _Thread_local int id = -1;
    struct sembuf take = {0, -1, 0};
    struct timespec time = {0, WAIT_MS * 1000000};
    if (id < 0) id = semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT);
    int result = semtimedop(id, &take, 1, &time);
    int error = errno;
    if (ending) semctl(id, 0, IPC_RMID);
    errno = error;
    return result < 0 && errno == EAGAIN ? 0 : result;
}

static int signals(void)
{
    sigset_t set;
    struct timespec time = {0, WAIT_MS * 1000000};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    int result = sigtimedwait(&set, NULL, &time);
    return result < 0 && errno == EAGAIN ? 0 : result;
}

static int sleeps(void)
{
    struct timespec time = {0, WAIT_MS * 1000000};
    return nanosleep(&time, NULL);
}

static int polls(void)
{
    return poll(NULL, 0, WAIT_MS);
}

static int receives(void)
{
    static _Thread_local int pair[2] = {-1, -1};
    char byte;
    struct timeval time = {0, WAIT_MS * 1000};
    if (pair[0] < 0) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return -1;
        setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    }
    ssize_t n = recv(pair[0], &byte, 1, 0);
    return n < 0 && errno == EAGAIN ? 0 : (int)n;
}

static int conditions(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += WAIT_MS * 1000000;
    if (time.tv_nsec >= 1000000000) time.tv_nsec -= 1000000000, time.tv_sec++;
    pthread_mutex_lock(&lock);
    int result = pthread_cond_timedwait(&never, &lock, &time);
    pthread_mutex_unlock(&lock);
    errno = result;
    return result == ETIMEDOUT ? 0 : -1;
}

/* To a listener whose queue is full. A connection of TCP that was begun is waited for, and then EALREADY. */
static int connects_to(const struct sockaddr *address, socklen_t size)
{
    struct timeval time = {0, WAIT_MS * 1000};
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time)) return -1;
    int result = connect(fd, address, size), error = errno;
    close(fd);
    errno = error;
    bool late = error == EAGAIN || error == EINPROGRESS || error == EALREADY;
    return result < 0 && late ? 0 : -1;
}

static int fill(struct sockaddr *address, socklen_t size)
{
    int listener = socket(address->sa_family, SOCK_STREAM, 0);
    if (bind(listener, address, size) || listen(listener, 0)) return -1;
    getsockname(listener, address, &size);
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    return connect(fd, address, size);
}

static int connects(void)
{
    static _Thread_local struct sockaddr_un address = {.sun_family = AF_UNIX};
    static _Thread_local bool full;
    if (!full) snprintf(address.sun_path + 1, 32, "calls-%d", (int)getpid());
    if (!full && fill((struct sockaddr *)&address, sizeof address)) return -1;
    full = true;
    return connects_to((struct sockaddr *)&address, sizeof address);
}

static int connects_by_tcp(void)
{
    static _Thread_local struct sockaddr_in address = {.sin_family = AF_INET};
    static _Thread_local bool full;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!full && fill((struct sockaddr *)&address, sizeof address)) return -1;
    full = true;
    return connects_to((struct sockaddr *)&address, sizeof address);
}

static const struct call {
    const char *name;
    int (*wait)(void);
} calls[] = {
    {"epoll_wait", epolls}, {"semtimedop", sems},  {"sigtimedwait", signals},
    {"nanosleep", sleeps},  {"poll", polls},       {"recv with a timeout", receives},
    {"futex", conditions},  {"connect", connects}, {"connect by TCP", connects_by_tcp},
};

enum { CALLS = sizeof calls / sizeof *calls };

static void wait_once(const struct call *call)
{
    uint64_t began = now_us();
    if (call->wait() != 0) fail(call->name, errno);
    if (now_us() - began < (WAIT_MS - TICK_MS) * 1000) fail(call->name, 0);
    rounds++;
}

static void *waiter(void *argument)
{
    while (!ending) wait_once(argument);
    return NULL;
}

/* The same sum again and again, in integers and in doubles. */
static void *computer(void *argument)
{
    uint64_t wanted = 0;
    double wanted_sum = 0;
    (void)argument;
    while (!ending) {
        uint64_t a = 1, b = 2, c = 3, d = 5, e = 7, f = 11, g = 13, h = 17;
        double x = 0.5, y = 1.5, z = 2.5;
        for (int i = 0; i < 100000; i++) {
            a += b ^ c, b += c ^ d, c += d ^ e, d += e ^ f, e += f ^ g, f += g ^ h, g += h ^ a,
                h += a;
            x = x * 1.0000001 + y, y = y * 0.9999999 + z, z = z * 0.5 + x * 1e-9;
        }
        uint64_t sum = a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
        double total = x + y + z;
        if (wanted && (sum != wanted || memcmp(&total, &wanted_sum, sizeof total) != 0))
            fail("a sum", 0);
        wanted = sum;
        wanted_sum = total;
    }
    return NULL;
}

/* Signals of its own: none may get lost, since each is sent after the one before was seen. */
static void *alarmer(void *argument)
{
    pthread_t target = *(pthread_t *)argument;
    while (!ending) {
        unsigned long seen = alarms;
        pthread_kill(target, SIGUSR1);
        alarms_sent++;
        for (uint64_t began = now_us(); alarms == seen && now_us() - began < 20000000;) usleep(500);
        if (alarms == seen) {
            fail("a signal was lost", 0);
            return NULL;
        }
        usleep(1000);
    }
    return NULL;
}

/* Waits for any child, of whatever kind: there is one, which has no exit signal and ends at our end. */
static pid_t child_make(void)
{
    pid_t child = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
}

static void *child_awaiter(void *argument)
{
    pid_t child = *(pid_t *)argument, seen;
    int status;
    do {
        seen = waitpid(-1, &status, __WALL);
        if (seen != child) fail("wait for any child", seen < 0 ? errno : 0);
    } while (seen != child && seen > 0);
    return NULL;
}

static void start(void)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    struct sigaction child = {.sa_handler = on_child};
    struct sigaction alarm = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &child, NULL);
    sigaction(SIGUSR1, &alarm, NULL);
    puts("ready");
    fflush(stdout);
}

static int finish(void)
{
    if (children) fail("a SIGCHLD", 0);
    if (waitpid(-1, NULL, __WALL | WNOHANG) != -1 || errno != ECHILD)
        fail("a child that nobody made", 0);
    fprintf(stderr, "calls: %lu rounds, %lu signals, %lu failures\n", rounds, alarms_sent,
            failures);
    return failures != 0;
}

static void run_alone(const struct call *call)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    while (poll(&input, 1, 0) == 0) wait_once(call);
    ending = true;
    wait_once(call); /* it may have something to put away */
}

static void run_all(void)
{
    pthread_t threads[CALLS + 3], awaiter;
    pid_t child = child_make();
    int count = 0;
    char byte;
    for (; count < CALLS; count++)
        pthread_create(&threads[count], NULL, waiter, (void *)&calls[count]);
    pthread_create(&awaiter, NULL, child_awaiter, &child);
    pthread_create(&threads[count++], NULL, computer, NULL);
    pthread_create(&threads[count++], NULL, computer, NULL);
    pthread_create(&threads[count], NULL, alarmer, &threads[count - 1]);
    if (read(0, &byte, 1) != 0) fail("read of the input", errno);
    ending = true;
    for (int i = 0; i <= count; i++) pthread_join(threads[i], NULL);
    kill(child, SIGKILL);
    pthread_join(awaiter, NULL);
}

int main(int argc, char **argv)
{
    int number = argc > 1 ? atoi(argv[1]) : -1;
    if (number >= CALLS) return 77;
    start();
    if (number >= 0)
        run_alone(&calls[number]);
    else
        run_all();
    return finish();
}
