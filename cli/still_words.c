/* See still_words.h. Nothing is taken out of a pipe or a socket: tee(2), and MSG_PEEK. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "still_words.h"

enum { QUEUE_MAX = 1 << 20, TARGET_MAX = 64, SIGNALS_AT_ONCE = 16, SIGNALS_MAX = 1 << 16 };

struct still {
    struct kernel_words *words;
    const struct freeze *f;
    unsigned char *queue; /* QUEUE_MAX bytes */
    int pidfd, pipe[2];
    char *why;
};

/* Addresses of programs are in the lower half, and not at its start. */
bool still_words_take(struct kernel_words *words, const void *bytes, size_t size)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint32_t)) {
        uint64_t word;
        memcpy(&word, (const char *)bytes + at, sizeof word);
        if (word >> 16 && word >> 48 == 0 && !kernel_words_add(words, word)) return false;
    }
    return true;
}

/* ---- threads -------------------------------------------------------------------------------- */

static bool take_vectors(const struct still *s)
{
    uint64_t block[MACHINE_VECTORS / 8];
    for (size_t i = 0; i < s->f->count; i++) {
        size_t size = machine_vectors(s->f->threads[i].tid, block);
        if (!still_words_take(s->words, block, size)) return false;
    }
    return true;
}

static bool take_signals_of(const struct still *s, pid_t tid, unsigned flags)
{
    siginfo_t info[SIGNALS_AT_ONCE];
    struct __ptrace_peeksiginfo_args which = {.flags = flags, .nr = SIGNALS_AT_ONCE};
    for (long n; which.off < SIGNALS_MAX; which.off += (uint64_t)n) {
        n = ptrace(PTRACE_PEEKSIGINFO, tid, &which, info);
        if (n <= 0) break;
        if (!still_words_take(s->words, info, (size_t)n * sizeof *info)) return false;
    }
    return true;
}

static bool take_signals(const struct still *s)
{
    bool done =
        s->f->count == 0 || take_signals_of(s, s->f->threads[0].tid, 1 /* of all threads */);
    for (size_t i = 0; done && i < s->f->count; i++)
        done = take_signals_of(s, s->f->threads[i].tid, 0);
    return done;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* Both ends of a pipe are looked at, which finds the same. Another user's cannot be, and is left out. */
static bool take_pipe(const struct still *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return true;
    ssize_t size = tee(fd, s->pipe[1], QUEUE_MAX, SPLICE_F_NONBLOCK);
    close(fd);
    for (size_t left = size > 0 ? (size_t)size : 0; left > 0;) {
        ssize_t n = read(s->pipe[0], s->queue, left);
        if (n <= 0) return false;
        if (!still_words_take(s->words, s->queue, (size_t)n)) return false;
        left -= (size_t)n;
    }
    return true;
}

static bool take_socket(const struct still *s, int number)
{
    int domain = 0;
    socklen_t length = sizeof domain;
    int fd = s->pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, s->pidfd, number, 0);
    if (fd < 0) return true;
    ssize_t size = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX)
        size = recv(fd, s->queue, QUEUE_MAX, MSG_PEEK | MSG_DONTWAIT);
    close(fd);
    return size <= 0 || still_words_take(s->words, s->queue, (size_t)size);
}

static bool refuse_asynchronous(const struct still *s, const char *what)
{
    snprintf(
        s->why, STILL_WHY,
        "process %d uses %s, through which the kernel keeps addresses that nobody can see: what "
        "seems lost may not be",
        (int)s->f->pid, what);
    return false;
}

static bool take_file(const struct still *s, const char *name)
{
    char path[320], target[TARGET_MAX];
    snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)s->f->pid, name);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0) return true;
    target[length] = 0;
    if (strcmp(target, "anon_inode:[io_uring]") == 0) return refuse_asynchronous(s, "io_uring");
    if (strncmp(target, "pipe:", 5) == 0) return take_pipe(s, path);
    if (strncmp(target, "socket:", 7) == 0) return take_socket(s, (int)strtol(name, NULL, 10));
    return true;
}

static bool take_files(const struct still *s)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)s->f->pid);
    DIR *files = opendir(path);
    bool done = files != NULL;
    for (struct dirent *entry; done && (entry = readdir(files));)
        done = *entry->d_name == '.' || take_file(s, entry->d_name);
    if (files) closedir(files);
    return done;
}

/* io_setup maps a ring of this name. */
static bool has_input_ring(pid_t pid)
{
    struct maps maps;
    bool found = false;
    if (!maps_read(&maps, pid)) return false;
    for (size_t i = 0; !found && i < maps.count; i++)
        found = strncmp(maps.list[i].path, "/[aio]", 6) == 0;
    maps_finish(&maps);
    return found;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool still_open(struct still *s)
{
    s->queue = malloc(QUEUE_MAX);
    s->pidfd = (int)syscall(SYS_pidfd_open, s->f->pid, 0);
    if (!s->queue || pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    fcntl(s->pipe[1], F_SETPIPE_SZ, QUEUE_MAX);
    return true;
}

static void still_close(struct still *s)
{
    free(s->queue);
    if (s->pidfd >= 0) close(s->pidfd);
    for (int i = 0; i < 2; i++)
        if (s->pipe[i] >= 0) close(s->pipe[i]);
}

bool still_words_read(struct kernel_words *words, const struct freeze *f, char why[STILL_WHY])
{
    struct still s = {.words = words, .f = f, .pidfd = -1, .pipe = {-1, -1}, .why = why};
    snprintf(why, STILL_WHY, "cannot read what the kernel holds for process %d", (int)f->pid);
    bool done = still_open(&s) && kernel_words_read(words, f->pid) && take_vectors(&s) &&
                take_signals(&s) && take_files(&s);
    if (done && has_input_ring(f->pid)) done = refuse_asynchronous(&s, "asynchronous input");
    still_close(&s);
    return done;
}
