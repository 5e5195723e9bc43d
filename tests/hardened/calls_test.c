/*
 * Calls of libc, checked: every function of libfreehold-hardened-calls.so.1, over the libraries themselves. Preloaded, with
 * the level as argument. What could break: a use up to the last byte is taken for wrong; a byte more is not; a freed block
 * is not; memory that is no block of ours is looked at; the report names another call, size or caller; a function looks
 * at its pointers at the wrong level.
 *
 * Reports are counted (hook, bad_free=ignore); the byte too much then lies in the slack of the block.
 */
#define _GNU_SOURCE
#include <freehold/hardened.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wchar.h>

#include "kit/child.h"
#include "kit/expect.h"

enum { MOST = 300000 };

void *__memcpy_chk(void *, const void *, size_t, size_t);
void *__memmove_chk(void *, const void *, size_t, size_t);
void *__mempcpy_chk(void *, const void *, size_t, size_t);
void *__memset_chk(void *, int, size_t, size_t);
void __explicit_bzero_chk(void *, size_t, size_t);
char *__strcpy_chk(char *, const char *, size_t);
char *__stpcpy_chk(char *, const char *, size_t);
char *__strncpy_chk(char *, const char *, size_t, size_t);
char *__stpncpy_chk(char *, const char *, size_t, size_t);
char *__strcat_chk(char *, const char *, size_t);
char *__strncat_chk(char *, const char *, size_t, size_t);
wchar_t *__wmemcpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmemmove_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmempcpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmemset_chk(wchar_t *, wchar_t, size_t, size_t);
wchar_t *__wcscpy_chk(wchar_t *, const wchar_t *, size_t);
wchar_t *__wcsncpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void *, size_t, off64_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
char *__getcwd_chk(char *, size_t, size_t);
size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);
size_t __fread_unlocked_chk(void *, size_t, size_t, size_t, FILE *);
char *__fgets_chk(char *, size_t, int, FILE *);
char *__fgets_unlocked_chk(char *, size_t, int, FILE *);
int __sprintf_chk(char *, int, size_t, const char *, ...);
int __snprintf_chk(char *, size_t, int, size_t, const char *, ...);
int __vsprintf_chk(char *, int, size_t, const char *, va_list);
int __vsnprintf_chk(char *, size_t, int, size_t, const char *, va_list);
void *__mempcpy(void *, const void *, size_t);
char *__stpcpy(char *, const char *);
char *__stpncpy(char *, const char *, size_t);
char *__strdup(const char *);
char *__strndup(const char *, size_t);

/* ---- reports ---------------------------------------------------------------------------------------------------- */

static struct {
    unsigned count; /* since it was last asked */
    char what[32], call[32], sentence[300];
    size_t size;
    uintptr_t caller;
} told;

static void copy_word(char *to, const char *from, size_t size)
{
    size_t i = 0;
    for (; from && from[i] && i + 1 < size; i++) to[i] = from[i];
    to[i] = 0;
}

static void on_report(const struct fh_hardened_report *report)
{
    if (told.count++) return; /* what follows from the first one */
    copy_word(told.what, report->what, sizeof told.what);
    copy_word(told.call, report->call ? report->call : "", sizeof told.call);
    copy_word(told.sentence, report->sentence, sizeof told.sentence);
    told.size = report->block_size;
    told.caller = report->stack_count ? report->stack[0] : 0;
}

static unsigned told_since(void)
{
    unsigned count = told.count;
    told.count = 0;
    return count;
}

/* ---- what is called: each touches p[0] to p[n - 1], and nothing else ------------------------------------------------- */

static struct {
    char bytes[MOST + 64];   /* all 'r' */
    char taken[MOST + 64];   /* where others' bytes go */
    wchar_t wide[MOST + 16]; /* no zero in it either */
    FILE *file;              /* MOST and more bytes without a newline */
    int fd;
} given;

/* A string of n bytes with its terminator, in memory that is no block. */
static const char *text_of(size_t n)
{
    static char text[MOST + 64];
    static size_t ended;
    text[ended] = 'x';
    if (text[ended + 1] == 0) memset(text, 'x', sizeof text);
    text[ended = n - 1] = 0;
    return text;
}

static const wchar_t *wide_of(size_t n)
{
    static wchar_t text[MOST + 16];
    wmemset(text, L'x', n);
    text[n - 1] = 0;
    return text;
}

static FILE *file_at_start(void)
{
    rewind(given.file);
    return given.file;
}

static int fd_at_start(void)
{
    lseek(given.fd, 0, SEEK_SET);
    return given.fd;
}

/* A socket that has n bytes. */
static int socket_with(size_t n)
{
    static int ends[2] = {-1, -1};
    close(ends[0]);
    close(ends[1]);
    EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0, "no sockets");
    EXPECT(send(ends[1], given.bytes, n < 1000 ? n : 1000, 0) > 0, "nothing sent");
    return ends[0];
}

static int vsprintf_of(char *p, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsprintf(p, format, list);
    va_end(list);
    return n;
}

static int vsnprintf_of(char *p, size_t n, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int written = vsnprintf(p, n, format, list);
    va_end(list);
    return written;
}

static int vsprintf_chk_of(char *p, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = __vsprintf_chk(p, 1, SIZE_MAX, format, list);
    va_end(list);
    return n;
}

static int vsnprintf_chk_of(char *p, size_t n, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int written = __vsnprintf_chk(p, n, 1, SIZE_MAX, format, list);
    va_end(list);
    return written;
}

/* The first half of n bytes is a string. */
static char *half(char *p, size_t n)
{
    p[n / 2] = 0;
    return p;
}

static volatile uintptr_t kept_result; /* of what the compiler would leave out */

/* `n` is a multiple of 4 where characters are wide. */
#define WIDE(p) ((wchar_t *)(p))
#define WIDTH(n) ((n) / sizeof(wchar_t))
#define FUNCTIONS(X)                                                                               \
    X(memcpy, 1, memcpy(p, given.bytes, n))                                                        \
    X(memmove, 1, memmove(p, given.bytes, n))                                                      \
    X(mempcpy, 1, mempcpy(p, given.bytes, n))                                                      \
    X(mempcpy, 1, __mempcpy(p, given.bytes, n))                                                    \
    X(bcopy, 1, bcopy(given.bytes, p, n))                                                          \
    X(memccpy, 1, memccpy(p, given.bytes, 0, n))                                                   \
    X(memset, 1, memset(p, 7, n))                                                                  \
    X(bzero, 1, bzero(p, n))                                                                       \
    X(explicit_bzero, 1, explicit_bzero(p, n))                                                     \
    X(memcpy, 1, __memcpy_chk(p, given.bytes, n, SIZE_MAX))                                        \
    X(memmove, 1, __memmove_chk(p, given.bytes, n, SIZE_MAX))                                      \
    X(mempcpy, 1, __mempcpy_chk(p, given.bytes, n, SIZE_MAX))                                      \
    X(memset, 1, __memset_chk(p, 7, n, SIZE_MAX))                                                  \
    X(explicit_bzero, 1, __explicit_bzero_chk(p, n, SIZE_MAX))                                     \
    X(strcpy, 1, strcpy(p, text_of(n)))                                                            \
    X(strcpy, 1, __strcpy_chk(p, text_of(n), SIZE_MAX))                                            \
    X(stpcpy, 1, stpcpy(p, text_of(n)))                                                            \
    X(stpcpy, 1, __stpcpy(p, text_of(n)))                                                          \
    X(stpcpy, 1, __stpcpy_chk(p, text_of(n), SIZE_MAX))                                            \
    X(strncpy, 1, strncpy(p, "ab", n))                                                             \
    X(strncpy, 1, __strncpy_chk(p, given.bytes, n, SIZE_MAX))                                      \
    X(stpncpy, 1, stpncpy(p, "", n))                                                               \
    X(stpncpy, 1, __stpncpy(p, given.bytes, n))                                                    \
    X(stpncpy, 1, __stpncpy_chk(p, "abc", n, SIZE_MAX))                                            \
    X(strcat, 1, (*p = 0, strcat(p, text_of(n))))                                                  \
    X(strcat, 1, (*p = 0, __strcat_chk(p, text_of(n), SIZE_MAX)))                                  \
    X(strncat, 1, (*p = 0, strncat(p, given.bytes, n - 1)))                                        \
    X(strncat, 1, (*p = 0, __strncat_chk(p, given.bytes, n - 1, SIZE_MAX)))                        \
    X(strcat, 1, strcat(half(p, n), text_of(n - n / 2)))                                           \
    X(strcat, 1, __strcat_chk(half(p, n), text_of(n - n / 2), SIZE_MAX))                           \
    X(strncat, 1, strncat(half(p, n), given.bytes, n - n / 2 - 1))                                 \
    X(strncat, 1, __strncat_chk(half(p, n), given.bytes, n - n / 2 - 1, SIZE_MAX))                 \
    X(wmemcpy, 4, wmemcpy(WIDE(p), given.wide, WIDTH(n)))                                          \
    X(wmemcpy, 4, __wmemcpy_chk(WIDE(p), given.wide, WIDTH(n), SIZE_MAX))                          \
    X(wmemmove, 4, wmemmove(WIDE(p), given.wide, WIDTH(n)))                                        \
    X(wmemmove, 4, __wmemmove_chk(WIDE(p), given.wide, WIDTH(n), SIZE_MAX))                        \
    X(wmempcpy, 4, wmempcpy(WIDE(p), given.wide, WIDTH(n)))                                        \
    X(wmempcpy, 4, __wmempcpy_chk(WIDE(p), given.wide, WIDTH(n), SIZE_MAX))                        \
    X(wmemset, 4, wmemset(WIDE(p), L'w', WIDTH(n)))                                                \
    X(wmemset, 4, __wmemset_chk(WIDE(p), L'w', WIDTH(n), SIZE_MAX))                                \
    X(wcscpy, 4, wcscpy(WIDE(p), wide_of(WIDTH(n))))                                               \
    X(wcscpy, 4, __wcscpy_chk(WIDE(p), wide_of(WIDTH(n)), SIZE_MAX))                               \
    X(wcsncpy, 4, wcsncpy(WIDE(p), L"a", WIDTH(n)))                                                \
    X(wcsncpy, 4, __wcsncpy_chk(WIDE(p), given.wide, WIDTH(n), SIZE_MAX))                          \
    X(read, 1, read(fd_at_start(), p, n))                                                          \
    X(read, 1, __read_chk(fd_at_start(), p, n, SIZE_MAX))                                          \
    X(pread, 1, pread(given.fd, p, n, 0))                                                          \
    X(pread, 1, pread64(given.fd, p, n, 0))                                                        \
    X(pread, 1, __pread_chk(given.fd, p, n, 0, SIZE_MAX))                                          \
    X(pread, 1, __pread64_chk(given.fd, p, n, 0, SIZE_MAX))                                        \
    X(readv, 1, readv(fd_at_start(), &(struct iovec){p, n}, 1))                                    \
    X(recv, 1, recv(socket_with(n), p, n, 0))                                                      \
    X(recv, 1, __recv_chk(socket_with(n), p, n, SIZE_MAX, 0))                                      \
    X(recvfrom, 1, recvfrom(socket_with(n), p, n, 0, NULL, NULL))                                  \
    X(recvfrom, 1, __recvfrom_chk(socket_with(n), p, n, SIZE_MAX, 0, NULL, NULL))                  \
    X(getcwd, 1, getcwd(p, n))                                                                     \
    X(getcwd, 1, __getcwd_chk(p, n, SIZE_MAX))                                                     \
    X(fread, 1, fread(p, 1, n, file_at_start()))                                                   \
    X(fread, 1, (fread_unlocked)(p, n, 1, file_at_start()))                                        \
    X(fread, 1, __fread_chk(p, SIZE_MAX, 1, n, file_at_start()))                                   \
    X(fread, 1, __fread_unlocked_chk(p, SIZE_MAX, n, 1, file_at_start()))                          \
    X(fgets, 1, fgets(p, (int)n, file_at_start()))                                                 \
    X(fgets, 1, fgets_unlocked(p, (int)n, file_at_start()))                                        \
    X(fgets, 1, __fgets_chk(p, SIZE_MAX, (int)n, file_at_start()))                                 \
    X(fgets, 1, __fgets_unlocked_chk(p, SIZE_MAX, (int)n, file_at_start()))                        \
    X(sprintf, 1, sprintf(p, "%s", text_of(n)))                                                    \
    X(sprintf, 1, __sprintf_chk(p, 1, SIZE_MAX, "%s", text_of(n)))                                 \
    X(vsprintf, 1, vsprintf_of(p, "%s", text_of(n)))                                               \
    X(vsprintf, 1, vsprintf_chk_of(p, "%s", text_of(n)))                                           \
    X(snprintf, 1, snprintf(p, n, "%s", given.bytes))                                              \
    X(snprintf, 1, snprintf(p, n + 100, "%s", text_of(n)))                                         \
    X(snprintf, 1, __snprintf_chk(p, n, 1, SIZE_MAX, "%s", given.bytes))                           \
    X(vsnprintf, 1, vsnprintf_of(p, n, "%s", given.bytes))                                         \
    X(vsnprintf, 1, vsnprintf_chk_of(p, n, "%s", given.bytes))                                     \
    X(swab, 2, swab(given.bytes, p, (ssize_t)n))

/* The same for what reads: of level 2. All of the block is 'r', as are the bytes that are given. */
#define READERS(X)                                                                                 \
    X(memcpy, 1, memcpy(given.taken, p, n))                                                        \
    X(memmove, 1, memmove(given.taken, p, n))                                                      \
    X(mempcpy, 1, mempcpy(given.taken, p, n))                                                      \
    X(memccpy, 1, memccpy(given.taken, p, 0, n))                                                   \
    X(bcopy, 1, bcopy(p, given.taken, n))                                                          \
    X(memcpy, 1, __memcpy_chk(given.taken, p, n, SIZE_MAX))                                        \
    X(memmove, 1, __memmove_chk(given.taken, p, n, SIZE_MAX))                                      \
    X(strncpy, 1, strncpy(given.taken, p, n))                                                      \
    X(strncat, 1, (given.taken[0] = 0, strncat(given.taken, p, n)))                                \
    X(memcmp, 1, kept_result = (uintptr_t)memcmp(given.bytes, p, n))                               \
    X(memcmp, 1, kept_result = (uintptr_t)memcmp(p, given.bytes, n))                               \
    X(bcmp, 1, kept_result = (uintptr_t)bcmp(p, given.bytes, n))                                   \
    X(memchr, 1, kept_result = (uintptr_t)memchr(p, 0, n))                                         \
    X(strnlen, 1, kept_result = (uintptr_t)strnlen(p, n))                                          \
    X(strndup, 1, free(strndup(p, n)))                                                             \
    X(strndup, 1, free(__strndup(p, n)))                                                           \
    X(write, 1, write(given.fd, p, n))                                                             \
    X(pwrite, 1, pwrite(given.fd, p, n, 0))                                                        \
    X(pwrite, 1, pwrite64(given.fd, p, n, 0))                                                      \
    X(writev, 1, writev(given.fd, &(struct iovec){p, n}, 1))                                       \
    X(fwrite, 1, fwrite(p, 1, n, file_at_start()))                                                 \
    X(fwrite, 1, (fwrite_unlocked)(p, n, 1, file_at_start()))                                      \
    X(send, 1, send(socket_with(1), p, n, MSG_DONTWAIT))                                           \
    X(sendto, 1, sendto(socket_with(1), p, n, MSG_DONTWAIT, NULL, 0))

/* Of a string that ends with the block, or does not end in it. */
#define STRINGS(X)                                                                                 \
    X(strlen, 1, kept_result = (uintptr_t)strlen(p))                                               \
    X(strdup, 1, free(strdup(p)))                                                                  \
    X(strdup, 1, free(__strdup(p)))                                                                \
    X(strcpy, 1, strcpy(given.taken, p))                                                           \
    X(stpcpy, 1, stpcpy(given.taken, p))                                                           \
    X(strcat, 1, (given.taken[0] = 0, strcat(given.taken, p)))                                     \
    X(fputs, 1, fputs(p, file_at_start()))                                                         \
    X(puts, 1, puts(p))

/* The n-th of a list is case n. */
#define CALL(name, multiple, expression)                                                           \
    case __COUNTER__ - FIRST:                                                                      \
        (void)(expression);                                                                        \
        break;
#define NAMED(name, multiple, expression) {#name, multiple, #expression},

struct function {
    const char *name;
    unsigned multiple; /* of bytes: what it can touch */
    const char *how;
};

#define LIST(list, LIST_OF)                                                                        \
    static const struct function list[] = {LIST_OF(NAMED)};                                        \
    static __attribute__((noinline)) void list##_call(unsigned number, char *p, size_t n)          \
    {                                                                                              \
        enum { FIRST = __COUNTER__ + 1 };                                                          \
        (void)n;                                                                                   \
        switch (number) {                                                                          \
            LIST_OF(CALL)                                                                          \
        }                                                                                          \
    }
LIST(writers, FUNCTIONS)
LIST(readers, READERS)
LIST(strings, STRINGS)

/* ---- what must be told, and what not ---------------------------------------------------------------------------------- */

struct list {
    const struct function *functions;
    unsigned count;
    void (*call)(unsigned number, char *p, size_t n);
    int level; /* from which on it is looked at */
};

static int level;
static bool sampled; /* every block is on pages of its own: a byte too much may fault as well */

static void expect_none(const struct function *f, size_t n, const char *where)
{
    unsigned count = told_since();
    EXPECT(count == 0, "%s of %zu bytes %s: %u reports: %s", f->how, n, where, count,
           told.sentence);
}

static void expect_one(const struct list *list, const struct function *f, size_t size,
                       const char *what, const char *sentence)
{
    extern char __executable_start, etext;
    unsigned count = told_since();
    if (level < list->level) {
        EXPECT(strcmp(told.what, "checked-call") != 0 || count == 0, "%s at level %d", f->how,
               level);
        return;
    }
    EXPECT(count == 1 || (count && sampled), "%s, block of %zu: %u reports", f->how, size, count);
    EXPECT(strcmp(told.what, what) == 0, "%s: %s, not %s", f->how, told.what, what);
    EXPECT(strcmp(told.call, f->name) == 0, "%s: told of %s", f->how, told.call);
    EXPECT(told.size == size, "%s: block of %zu, not %zu", f->how, told.size, size);
    EXPECT(strstr(told.sentence, sentence), "%s: '%s', not '%s'", f->how, told.sentence, sentence);
    EXPECT(told.caller - (uintptr_t)&__executable_start < (uintptr_t)(&etext - &__executable_start),
           "%s: called from elsewhere: %#lx", f->how, (unsigned long)told.caller);
}

static char *block_of(const struct list *list, size_t size, bool whole)
{
    char *p = malloc(size);
    EXPECT(p, "no block of %zu", size);
    told_since();
    for (size_t i = 0; i < size; i++) p[i] = 'r';
    if (list->functions == strings && whole) p[size - 1] = 0;
    return p;
}

static void try_bounds(const struct list *list, unsigned number, size_t size)
{
    const struct function *f = &list->functions[number];
    bool is_string = list->functions == strings, writes = list->functions == writers;
    char sentence[200], *p = block_of(list, size, true);
    size_t middle = size / 2 / f->multiple * f->multiple;
    list->call(number, p, size);
    expect_none(f, size, "a whole block");
    if (middle) list->call(number, p + size - middle, middle);
    expect_none(f, middle, "from its middle");
    free(p);
    p = block_of(list, size, false);
    if (is_string)
        snprintf(sentence, sizeof sentence, "would read on past the end of a block of %zu byte",
                 size);
    else
        snprintf(sentence, sizeof sentence, "would %s ", writes ? "write" : "read");
    list->call(number, p, size + f->multiple);
    expect_one(list, f, size, "checked-call", sentence);
    snprintf(sentence, sizeof sentence, " past the end of a block of %zu byte%s (", size,
             size == 1 ? "" : "s");
    list->call(number, p + size - middle, middle + f->multiple);
    if (middle) expect_one(list, f, size, "checked-call", sentence);
    told_since();
    free(p);
    told_since();
}

static void try_freed(const struct list *list, unsigned number, size_t size)
{
    const struct function *f = &list->functions[number];
    char *p = block_of(list, size, true), *volatile freed = p;
    free(p);
    list->call(number, freed, size);
    expect_one(list, f, size, "use-of-freed", "a freed block of ");
}

static void try_other_memory(const struct list *list, unsigned number)
{
    enum { SIZE = 3000 };
    static char global[SIZE + 16];
    char stack[SIZE + 16];
    const struct function *f = &list->functions[number];
    char *mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(mapped != MAP_FAILED, "no memory");
    for (size_t n = f->multiple; n < SIZE; n = n * 3 / f->multiple * f->multiple) {
        char *const places[] = {global, stack, mapped};
        for (unsigned i = 0; i < 3; i++) {
            for (size_t at = 0; at < n; at++) places[i][at] = 'r';
            places[i][n - 1] = 0;
            list->call(number, places[i], n);
            expect_none(f, n, "in other memory");
        }
    }
    munmap(mapped, SIZE);
}

static void try_list(const struct list *list)
{
    static const size_t sizes[] = {1, 2, 7, 8, 9, 40, 48, 63, 64, 100, 1000, 5000, 100000, 299996};
    for (unsigned i = 0; i < list->count; i++) {
        for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            unsigned multiple = list->functions[i].multiple;
            if (sampled && sizes[s] > 5000) continue;
            if (sizes[s] >= multiple) try_bounds(list, i, sizes[s] / multiple * multiple);
        }
        if (!sampled) try_freed(list, i, 48);
        try_other_memory(list, i);
    }
}

/* ---- what is right though it looks wrong -------------------------------------------------------------------------------- */

static void *volatile kept;

static void try_legal(void)
{
    static const struct function legal = {"legal", 1, "a legal call"};
    char *p = kept = malloc(48), *q;
    memcpy(p + 48, given.bytes, 0);
    memmove(p + 48, p, 0);
    memset(p + 48, 1, 0);
    (void)!read(given.fd, p + 48, 0);
    snprintf(p + 48, 0, "%s", given.bytes);
    expect_none(&legal, 0, "at the end of a block");
    memset(p, 'x', 47);
    p[47] = 0;
    EXPECT(memchr(p, 'x', SIZE_MAX / 2) == p && memchr(p, 0, SIZE_MAX / 2) == p + 47, "memchr");
    EXPECT(strnlen(p, SIZE_MAX / 2) == 47 && strnlen(p, SIZE_MAX) == 47, "strnlen");
    EXPECT(memcmp(p, "y", 1) < 0 && memcmp(p, given.bytes, 100) != 0,
           "memcmp that differs at once");
    EXPECT(memccpy(given.taken, p, 0, 1000) == given.taken + 48, "memccpy that stops");
    EXPECT(snprintf(p, 1000, "%s", text_of(48)) == 47, "a size that lies, and what fits");
    strncat(strcpy(p, "ab"), text_of(40), SIZE_MAX);
    strncpy(given.taken, p, 100);
    strncpy(p, text_of(200), 48);
    q = strndup(p, 48);
    expect_none(&legal, 48, "that stops where it should");
    free(q);
    sprintf(strcpy(p, "abc"), "%sdef", p); /* wrong, and libc's own business */
    EXPECT(memcmp(p, "abcdef", 7) == 0, "%s", p);
    expect_none(&legal, 48, "into itself");
    free(p);
    told_since();
}

/* What a function reads on its way is of level 2, also where it writes to a block. */
static void try_source(void)
{
    char *to = kept = malloc(200), *from = malloc(64);
    memset(from, 'r', 64);
    told_since();
    strcpy(to, from);
    EXPECT((told_since() != 0) == (level == 2), "strcpy of what does not end, at level %d", level);
    free(from);
    free(to);
    told_since();
}

/* Lines that fit, read with a size that lies. */
static void try_lines(void)
{
    static const struct function legal = {"fgets", 1, "fgets of lines that fit"};
    char text[] = "seven..\n\n1234567\nlast 7.", *p = malloc(9);
    FILE *file = fmemopen(text, sizeof text - 1, "r");
    EXPECT(file, "no stream");
    told_since();
    EXPECT(fgets(p, 100, file) == p && strcmp(p, "seven..\n") == 0, "a line and its newline");
    EXPECT(fgets(p, 100, file) == p && strcmp(p, "\n") == 0, "an empty line");
    EXPECT(fgets(p, 100, file) == p && strcmp(p, "1234567\n") == 0, "a line, %s", p);
    EXPECT(fgets(p, 100, file) == p && strcmp(p, "last 7.") == 0, "a line without its newline");
    EXPECT(fgets(p, 100, file) == NULL && strcmp(p, "last 7.") == 0, "the end");
    expect_none(&legal, 9, "");
    fclose(file);
    file = fmemopen(text, 8, "r"); /* the buffer full, and then the end */
    p[8] = 'k';
    EXPECT(fgets(p, 100, file) == p && strcmp(p, "seven..\n") == 0, "to the end");
    expect_none(&legal, 9, "at the end");
    fclose(file);
    free(p);
}

/* ---- the fortified forms --------------------------------------------------------------------------------------------------- */

static char place[100];

/* A byte more than the compiler saw room for, on no block of ours: libc's own check. */
#define FORTIFIED(X)                                                                               \
    X(memcpy, 1, __memcpy_chk(p, given.bytes, n, n - 1))                                           \
    X(memmove, 1, __memmove_chk(p, given.bytes, n, n - 1))                                         \
    X(mempcpy, 1, __mempcpy_chk(p, given.bytes, n, n - 1))                                         \
    X(memset, 1, __memset_chk(p, 1, n, n - 1))                                                     \
    X(explicit_bzero, 1, __explicit_bzero_chk(p, n, n - 1))                                        \
    X(strcpy, 1, __strcpy_chk(p, text_of(n), n - 1))                                               \
    X(stpcpy, 1, __stpcpy_chk(p, text_of(n), n - 1))                                               \
    X(strncpy, 1, __strncpy_chk(p, "", n, n - 1))                                                  \
    X(stpncpy, 1, __stpncpy_chk(p, "", n, n - 1))                                                  \
    X(strcat, 1, __strcat_chk(p, text_of(n), n - 1))                                               \
    X(strncat, 1, __strncat_chk(p, given.bytes, n - 1, n - 1))                                     \
    X(wmemcpy, 1, __wmemcpy_chk(WIDE(p), given.wide, n, n - 1))                                    \
    X(wmemmove, 1, __wmemmove_chk(WIDE(p), given.wide, n, n - 1))                                  \
    X(wmempcpy, 1, __wmempcpy_chk(WIDE(p), given.wide, n, n - 1))                                  \
    X(wmemset, 1, __wmemset_chk(WIDE(p), L'w', n, n - 1))                                          \
    X(wcscpy, 1, __wcscpy_chk(WIDE(p), wide_of(n), n - 1))                                         \
    X(wcsncpy, 1, __wcsncpy_chk(WIDE(p), L"", n, n - 1))                                           \
    X(read, 1, __read_chk(given.fd, p, n, n - 1))                                                  \
    X(pread, 1, __pread_chk(given.fd, p, n, 0, n - 1))                                             \
    X(pread, 1, __pread64_chk(given.fd, p, n, 0, n - 1))                                           \
    X(recv, 1, __recv_chk(given.fd, p, n, n - 1, 0))                                               \
    X(recvfrom, 1, __recvfrom_chk(given.fd, p, n, n - 1, 0, NULL, NULL))                           \
    X(getcwd, 1, __getcwd_chk(p, n, n - 1))                                                        \
    X(fread, 1, __fread_chk(p, n - 1, 1, n, file_at_start()))                                      \
    X(fread, 1, __fread_unlocked_chk(p, n - 1, 1, n, file_at_start()))                             \
    X(fgets, 1, __fgets_chk(p, n - 1, (int)n, file_at_start()))                                    \
    X(fgets, 1, __fgets_unlocked_chk(p, n - 1, (int)n, file_at_start()))                           \
    X(sprintf, 1, __sprintf_chk(p, 1, n - 1, "%s", text_of(n)))                                    \
    X(snprintf, 1, __snprintf_chk(p, n, 1, n - 1, "%s", ""))                                       \
    X(vsprintf, 1, vsprintf_fortified(p, n - 1, "%s", text_of(n)))                                 \
    X(vsnprintf, 1, vsnprintf_fortified(p, n, n - 1, "%s", ""))

static int vsprintf_fortified(char *p, size_t bound, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = __vsprintf_chk(p, 1, bound, format, list);
    va_end(list);
    return n;
}

static int vsnprintf_fortified(char *p, size_t n, size_t bound, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int written = __vsnprintf_chk(p, n, 1, bound, format, list);
    va_end(list);
    return written;
}

LIST(fortified, FORTIFIED)

static void call_fortified(void *number)
{
    place[0] = place[1] = 0;
    fortified_call(*(unsigned *)number, place, 10);
}

static void try_fortified(void)
{
    for (unsigned i = 0; i < sizeof fortified / sizeof *fortified; i++) {
        struct child_end end = child_run(call_fortified, &i);
        EXPECT(end.signal == 6, "%s was not ended", fortified[i].how);
        EXPECT(strstr(end.said, "buffer overflow detected"), "%s: %s", fortified[i].how, end.said);
        EXPECT(!strstr(end.said, "freehold"), "%s: %s", fortified[i].how, end.said);
    }
}

/* ---- main ------------------------------------------------------------------------------------------------------------------ */

static void set_up(void)
{
    void (*set_hook)(void (*)(const struct fh_hardened_report *)) =
        (__typeof__(set_hook))dlsym(RTLD_DEFAULT, "fh_hardened_set_hook");
    EXPECT(set_hook, "the hardened library is not there");
    set_hook(on_report);
    for (size_t i = 0; i < sizeof given.bytes - 1; i++) given.bytes[i] = 'r';
    for (size_t i = 0; i < sizeof given.wide / sizeof *given.wide; i++) given.wide[i] = L'r';
    given.fd = memfd_create("given", 0);
    EXPECT(pwrite(given.fd, given.bytes, MOST + 50, 0) == MOST + 50, "no file");
    given.file = fdopen(dup(given.fd), "r+");
    EXPECT(given.file, "no stream");
    setvbuf(given.file, NULL, _IONBF, 0);
}

/* calls_test LEVEL [sampled]; reports go to standard error, and would be many. */
int main(int argc, char **argv)
{
    const struct list lists[] = {
        {writers, sizeof writers / sizeof *writers, writers_call, 1},
        {readers, sizeof readers / sizeof *readers, readers_call, 2},
        {strings, sizeof strings / sizeof *strings, strings_call, 2},
    };
    level = argc > 1 ? atoi(argv[1]) : 2;
    sampled = argc > 2;
    set_up();
    for (unsigned i = 0; i < 3; i++) try_list(&lists[i]);
    try_legal();
    if (!sampled) try_source();
    try_lines();
    try_fortified();
    return 0;
}
