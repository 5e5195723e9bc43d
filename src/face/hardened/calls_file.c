/*
 * calls: what reads into blocks, and writes out of them. All but fgets are held to the size that they are told, as the
 * fortified forms do it: how much will come is not known before.
 */
#include "face/hardened/calls_state.h"

#undef fread_unlocked /* of headers that think them macros */
#undef fwrite_unlocked

/* ---- descriptors ---------------------------------------------------------------------------------------------- */

PUBLIC ssize_t read(int fd, void *to, size_t n)
{
    calls_write(SITE("read"), to, n);
    return calls_next()->read(fd, to, n);
}

PUBLIC ssize_t __read_chk(int fd, void *to, size_t n, size_t bound)
{
    calls_fortified(SITE("read"), to, n, bound);
    calls_write(SITE("read"), to, n);
    return calls_next()->read(fd, to, n);
}

PUBLIC ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    calls_write(SITE("pread"), to, n);
    return calls_next()->pread(fd, to, n, at);
}

PUBLIC ssize_t pread64(int fd, void *to, size_t n, off64_t at)
{
    calls_write(SITE("pread"), to, n);
    return calls_next()->pread64(fd, to, n, at);
}

PUBLIC ssize_t __pread_chk(int fd, void *to, size_t n, off_t at, size_t bound)
{
    calls_fortified(SITE("pread"), to, n, bound);
    calls_write(SITE("pread"), to, n);
    return calls_next()->pread(fd, to, n, at);
}

PUBLIC ssize_t __pread64_chk(int fd, void *to, size_t n, off64_t at, size_t bound)
{
    calls_fortified(SITE("pread"), to, n, bound);
    calls_write(SITE("pread"), to, n);
    return calls_next()->pread64(fd, to, n, at);
}

PUBLIC ssize_t recv(int fd, void *to, size_t n, int flags)
{
    calls_write(SITE("recv"), to, n);
    return calls_next()->recv(fd, to, n, flags);
}

PUBLIC ssize_t __recv_chk(int fd, void *to, size_t n, size_t bound, int flags)
{
    calls_fortified(SITE("recv"), to, n, bound);
    calls_write(SITE("recv"), to, n);
    return calls_next()->recv(fd, to, n, flags);
}

PUBLIC ssize_t recvfrom(int fd, void *restrict to, size_t n, int flags,
                        struct sockaddr *restrict address, socklen_t *restrict size)
{
    calls_write(SITE("recvfrom"), to, n);
    return calls_next()->recvfrom(fd, to, n, flags, address, size);
}

PUBLIC ssize_t __recvfrom_chk(int fd, void *restrict to, size_t n, size_t bound, int flags,
                              struct sockaddr *restrict address, socklen_t *restrict size)
{
    calls_fortified(SITE("recvfrom"), to, n, bound);
    calls_write(SITE("recvfrom"), to, n);
    return calls_next()->recvfrom(fd, to, n, flags, address, size);
}

/* More of them than the kernel takes it refuses. */
static void check_parts(struct calls_site site, const struct iovec *part, int count, bool writes)
{
    enum { PARTS_MOST = 1024 };
    if (count > PARTS_MOST) return;
    for (int i = 0; i < count; i++)
        if (writes)
            calls_write(site, part[i].iov_base, part[i].iov_len);
        else
            calls_read(site, part[i].iov_base, part[i].iov_len);
}

PUBLIC ssize_t readv(int fd, const struct iovec *part, int count)
{
    check_parts(SITE("readv"), part, count, true);
    return calls_next()->readv(fd, part, count);
}

PUBLIC ssize_t writev(int fd, const struct iovec *part, int count)
{
    check_parts(SITE("writev"), part, count, false);
    return calls_next()->writev(fd, part, count);
}

PUBLIC ssize_t write(int fd, const void *from, size_t n)
{
    calls_read(SITE("write"), from, n);
    return calls_next()->write(fd, from, n);
}

PUBLIC ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    calls_read(SITE("pwrite"), from, n);
    return calls_next()->pwrite(fd, from, n, at);
}

PUBLIC ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
    calls_read(SITE("pwrite"), from, n);
    return calls_next()->pwrite64(fd, from, n, at);
}

PUBLIC ssize_t send(int fd, const void *from, size_t n, int flags)
{
    calls_read(SITE("send"), from, n);
    return calls_next()->send(fd, from, n, flags);
}

PUBLIC ssize_t sendto(int fd, const void *from, size_t n, int flags, const struct sockaddr *address,
                      socklen_t size)
{
    calls_read(SITE("sendto"), from, n);
    return calls_next()->sendto(fd, from, n, flags, address, size);
}

PUBLIC char *getcwd(char *to, size_t n)
{
    calls_write(SITE("getcwd"), to, n);
    return calls_next()->getcwd(to, n);
}

PUBLIC char *__getcwd_chk(char *to, size_t n, size_t bound)
{
    calls_fortified(SITE("getcwd"), to, n, bound);
    calls_write(SITE("getcwd"), to, n);
    return calls_next()->getcwd(to, n);
}

/* ---- streams ---------------------------------------------------------------------------------------------------- */

PUBLIC size_t fread(void *restrict to, size_t size, size_t count, FILE *restrict file)
{
    calls_write(SITE("fread"), to, calls_bytes(count, size));
    return calls_next()->fread(to, size, count, file);
}

PUBLIC size_t fread_unlocked(void *restrict to, size_t size, size_t count, FILE *restrict file)
{
    calls_write(SITE("fread"), to, calls_bytes(count, size));
    return calls_next()->fread_unlocked(to, size, count, file);
}

PUBLIC size_t __fread_chk(void *restrict to, size_t bound, size_t size, size_t count,
                          FILE *restrict file)
{
    calls_fortified(SITE("fread"), to, calls_bytes(count, size), bound);
    calls_write(SITE("fread"), to, calls_bytes(count, size));
    return calls_next()->fread(to, size, count, file);
}

PUBLIC size_t __fread_unlocked_chk(void *restrict to, size_t bound, size_t size, size_t count,
                                   FILE *restrict file)
{
    calls_fortified(SITE("fread"), to, calls_bytes(count, size), bound);
    calls_write(SITE("fread"), to, calls_bytes(count, size));
    return calls_next()->fread_unlocked(to, size, count, file);
}

PUBLIC size_t fwrite(const void *restrict from, size_t size, size_t count, FILE *restrict file)
{
    calls_read(SITE("fwrite"), from, calls_bytes(count, size));
    return calls_next()->fwrite(from, size, count, file);
}

PUBLIC size_t fwrite_unlocked(const void *restrict from, size_t size, size_t count,
                              FILE *restrict file)
{
    calls_read(SITE("fwrite"), from, calls_bytes(count, size));
    return calls_next()->fwrite_unlocked(from, size, count, file);
}

PUBLIC int fputs(const char *restrict s, FILE *restrict file)
{
    if (!calls_outside(calls.read, s)) calls_length(SITE("fputs"), s, SIZE_MAX);
    return calls_next()->fputs(s, file);
}

PUBLIC int puts(const char *s)
{
    if (!calls_outside(calls.read, s)) calls_length(SITE("puts"), s, SIZE_MAX);
    return calls_next()->puts(s);
}

/* A line that fits may be read with a size that does not: so it is read as far as there is room, and if it does not end
 * there the next character is asked for, as libc would. */
static char *line_read_lied(struct calls_site site, char *to, int n, size_t room,
                            __typeof__(fgets) *get, FILE *file)
{
    char last = to[room - 1];
    to[room - 1] = 1; /* a terminator here: it was filled to the end */
    const char *got = get(to, (int)room, file);
    bool full = got && to[room - 1] == 0 && to[room - 2] != '\n';
    if (to[room - 1]) to[room - 1] = last;
    int more = full ? getc(file) : EOF;
    if (more == EOF) return got ? to : NULL;
    ungetc(more, file);
    calls_refuse(site, to, (size_t)n, true);
    get(to + room - 1, n - (int)(room - 1), file);
    return to;
}

/* `bound` SIZE_MAX: not the fortified form. */
static char *line_read(struct calls_site site, char *to, int n, FILE *file, size_t bound,
                       bool locked)
{
    const struct calls_next *next = calls_next();
    __typeof__(fgets) *get = locked ? next->fgets : next->fgets_unlocked;
    __typeof__(__fgets_chk) *get_fortified =
        locked ? next->__fgets_chk : next->__fgets_unlocked_chk;
    size_t room = calls_room((uintptr_t)to, true);
    if (n <= 0 || (size_t)n <= room || bound <= room)
        return bound == SIZE_MAX ? get(to, n, file) : get_fortified(to, bound, n, file);
    if (room >= 2) return line_read_lied(site, to, n, room, get, file);
    calls_refuse(site, to, (size_t)n, true); /* nothing fits but the terminator */
    return get(to, n, file);
}

PUBLIC char *fgets(char *restrict to, int n, FILE *restrict file)
{
    return line_read(SITE("fgets"), to, n, file, SIZE_MAX, true);
}

PUBLIC char *fgets_unlocked(char *restrict to, int n, FILE *restrict file)
{
    return line_read(SITE("fgets"), to, n, file, SIZE_MAX, false);
}

PUBLIC char *__fgets_chk(char *restrict to, size_t bound, int n, FILE *restrict file)
{
    return line_read(SITE("fgets"), to, n, file, bound, true);
}

PUBLIC char *__fgets_unlocked_chk(char *restrict to, size_t bound, int n, FILE *restrict file)
{
    return line_read(SITE("fgets"), to, n, file, bound, false);
}
