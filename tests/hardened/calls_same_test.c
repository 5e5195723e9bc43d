/*
 * Calls of libc, checked, do what libc's do: the same bytes in the same places, the same results, for random lengths,
 * places, overlaps and contents. Preloaded. One does it to a block, libc itself (found by dlsym) to other memory.
 * What could break: the forms that are made of other functions (strcpy, strncat, memccpy, wcsncpy ...), overlaps, errno.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wchar.h>

#include "kit/expect.h"
#include "kit/random.h"

enum { SIZE = 512, HALF = SIZE / 2 };

void *__mempcpy(void *, const void *, size_t);
char *__stpcpy(char *, const char *);
char *__stpncpy(char *, const char *, size_t);

#define LIBC(X)                                                                                    \
    X(memcpy)                                                                                      \
    X(memmove)                                                                                     \
    X(mempcpy)                                                                                     \
    X(__mempcpy)                                                                                   \
    X(memccpy)                                                                                     \
    X(memset)                                                                                      \
    X(bzero)                                                                                       \
    X(explicit_bzero)                                                                              \
    X(bcopy)                                                                                       \
    X(swab)                                                                                        \
    X(memcmp)                                                                                      \
    X(bcmp)                                                                                        \
    X(memchr)                                                                                      \
    X(strcpy)                                                                                      \
    X(stpcpy)                                                                                      \
    X(__stpcpy)                                                                                    \
    X(strncpy)                                                                                     \
    X(stpncpy)                                                                                     \
    X(__stpncpy)                                                                                   \
    X(strcat)                                                                                      \
    X(strncat)                                                                                     \
    X(strlen)                                                                                      \
    X(strnlen)                                                                                     \
    X(strdup)                                                                                      \
    X(strndup)                                                                                     \
    X(wmemcpy)                                                                                     \
    X(wmemmove)                                                                                    \
    X(wmempcpy)                                                                                    \
    X(wmemset)                                                                                     \
    X(wcscpy)                                                                                      \
    X(wcsncpy) X(read) X(pread) X(readv) X(fread) X(fgets) X(getcwd) X(vsnprintf) X(vsprintf)
#define POINTER(name) __typeof__(name) *name;
static struct calls {
    LIBC(POINTER)
} ours, libcs;

static void find_both(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    EXPECT(libc, "no libc");
#define FIND(name)                                                                                 \
    libcs.name = (__typeof__(name) *)dlsym(libc, #name);                                           \
    ours.name = (__typeof__(name) *)dlsym(RTLD_DEFAULT, #name);                                    \
    EXPECT(libcs.name &&ours.name &&ours.name != libcs.name, "%s is libc's", #name);
    LIBC(FIND)
}

/* What is done: the same for both. */
struct deed {
    size_t to, from, n; /* in the memory: below HALF; HALF and more; what fits behind both */
    size_t near;        /* another place below HALF */
    int value;
};
static int fd;
static FILE *file;

static int print(const struct calls *c, char *to, size_t n, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = n == SIZE_MAX ? c->vsprintf(to, format, list) : c->vsnprintf(to, n, format, list);
    va_end(list);
    return length;
}

static ssize_t read_in(const struct calls *c, char *to, size_t n, unsigned how)
{
    lseek(fd, (off_t)(n % 100), SEEK_SET);
    rewind(file);
    if (how == 0) return c->read(fd, to, n);
    if (how == 1) return c->pread(fd, to, n, 7);
    if (how == 2) return c->readv(fd, (struct iovec[]){{to, n / 2}, {to + n / 2, n - n / 2}}, 2);
    if (how == 3) return (ssize_t)c->fread(to, 1, n, file);
    return c->fgets(to, (int)n, file) == to;
}

/* 0 is none; a place in the memory is its index and one. */
#define AT(p) ((p) ? (intptr_t)((char *)(p)-m) + 1 : 0)
#define W(at) ((wchar_t *)(void *)(m + (at) / sizeof(wchar_t) * sizeof(wchar_t)))

static intptr_t copied(const struct calls *c, char *m, const struct deed *d, char **made)
{
    *made = NULL;
    switch (d->value) {
    case 0: return AT(c->memcpy(m + d->to, m + d->from, d->n));
    case 1: return AT(c->memmove(m + d->to, m + d->near, d->n));
    case 2: return AT(c->mempcpy(m + d->to, m + d->from, d->n));
    case 3: return AT(c->__mempcpy(m + d->to, m + d->from, d->n));
    case 4: return AT(c->memccpy(m + d->to, m + d->from, 'c', d->n));
    case 5: return AT(c->memset(m + d->to, (int)d->near, d->n));
    case 6: c->bzero(m + d->to, d->n); return 0;
    case 7: c->explicit_bzero(m + d->to, d->n); return 0;
    case 8: c->bcopy(m + d->near, m + d->to, d->n); return 0;
    case 9: c->swab(m + d->from, m + d->to, (ssize_t)d->n - 3); return 0;
    case 10:
        return (c->memcmp(m + d->to, m + d->from, d->n) > 0) -
               (c->memcmp(m + d->to, m + d->from, d->n) < 0);
    case 11: return c->bcmp(m + d->to, m + d->near, d->n) != 0;
    case 12: return AT(c->memchr(m + d->to, 'b', d->n));
    default: return -1;
    }
}

static intptr_t strings(const struct calls *c, char *m, const struct deed *d, char **made)
{
    switch (d->value) {
    case 13: return AT(c->strcpy(m + d->to, m + d->from));
    case 14: return AT(c->stpcpy(m + d->to, m + d->from));
    case 15: return AT(c->__stpcpy(m + d->to, m + d->from));
    case 16: return AT(c->strncpy(m + d->to, m + d->from, d->n));
    case 17: return AT(c->stpncpy(m + d->to, m + d->from, d->n));
    case 18: return AT(c->__stpncpy(m + d->to, m + d->from, d->n));
    case 19: m[d->to + d->n / 2] = 0; return AT(c->strcat(m + d->to, m + d->from));
    case 20: m[d->to + d->n / 2] = 0; return AT(c->strncat(m + d->to, m + d->from, d->n / 3));
    case 21: return (intptr_t)c->strlen(m + d->to);
    case 22: return (intptr_t)c->strnlen(m + d->to, d->n);
    case 23: *made = c->strdup(m + d->to); return 0;
    case 24: *made = c->strndup(m + d->to, d->n); return 0;
    default: return -1;
    }
}

static intptr_t others(const struct calls *c, char *m, const struct deed *d)
{
    size_t n = d->n / sizeof(wchar_t);
    switch (d->value) {
    case 25: return AT(c->wmemcpy(W(d->to), W(d->from), n));
    case 26: return AT(c->wmemmove(W(d->to), W(d->near), n));
    case 27: return AT(c->wmempcpy(W(d->to), W(d->from), n));
    case 28: return AT(c->wmemset(W(d->to), L'q', n));
    case 29: *(W(d->from) + n / 2) = 0; return AT(c->wcscpy(W(d->to), W(d->from)));
    case 30: *(W(d->from) + n / 2) = 0; return AT(c->wcsncpy(W(d->to), W(d->from), n));
    case 31: return AT(c->getcwd(m + d->to, d->n)) + errno;
    case 32: return print(c, m + d->to, d->n, "%s-%d-%-20s", m + d->from, 17, "ab");
    case 33: return print(c, m + d->to, SIZE_MAX, "%.*s%5.2f", (int)d->n / 3, m + d->from, 3.25);
    default: return read_in(c, m + d->to, d->n, (unsigned)d->value - 34);
    }
}

enum { DEEDS = 39 };

static intptr_t done(const struct calls *c, char *m, const struct deed *d, char **made)
{
    intptr_t result = copied(c, m, d, made);
    errno = 0;
    if (d->value > 12) result = strings(c, m, d, made);
    return d->value > 24 ? others(c, m, d) : result;
}

/* Letters, and here and there the end of a string; all end in each half. */
static void fill(struct random *random, char *m)
{
    for (size_t i = 0; i < SIZE; i++)
        m[i] = random_chance(random, 40) ? 0 : (char)('a' + random_below(random, 4));
    m[HALF - 1] = m[SIZE - 1] = 0;
}

static struct deed deed_random(struct random *random)
{
    struct deed d = {.to = random_below(random, HALF), .from = HALF + random_below(random, HALF)};
    d.near = random_below(random, HALF);
    d.value = (int)random_below(random, DEEDS);
    size_t most = SIZE - (d.from > d.to ? d.from : d.to), half = HALF - d.to;
    if (HALF - d.near < half) half = HALF - d.near;
    d.n = random_below(random, (most < half ? most : half) + 1);
    if (d.value == 9 && d.n < 3) d.n = 3;
    return d;
}

static bool is_in(const struct deed *d, const char *m)
{
    size_t from = strlen(m + d->from), length = HALF - d->to;
    if (d->value == 9) return d->n <= length;
    if (d->value == 19) return d->n / 2 + from < length;
    if (d->value == 20) return d->n / 2 + d->n / 3 < length;
    if (d->value == 33) return d->n / 3 + 8 < length;
    if (d->value == 29 || d->value == 30) return d->n >= 8;
    return d->value < 13 || d->value > 15 || from < length;
}

int main(int argc, char **argv)
{
    struct random random = {random_seed_argument(argc, argv, 1)};
    char *block = malloc(SIZE), *made[2], before[SIZE];
    char *other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned count[DEEDS] = {0};
    find_both();
    fd = memfd_create("given", 0);
    for (int i = 0; i < 200; i++) dprintf(fd, "%s%d", i % 7 ? "" : "\n", i);
    file = fdopen(dup(fd), "r");
    EXPECT(block && other != MAP_FAILED && file, "nothing to do it to");
    for (unsigned i = 0; i < 200000; i++) {
        struct deed d = deed_random(&random);
        fill(&random, before);
        if (!is_in(&d, before)) continue;
        libcs.memcpy(block, before, SIZE);
        libcs.memcpy(other, before, SIZE);
        intptr_t one = done(&ours, block, &d, &made[0]), two = done(&libcs, other, &d, &made[1]);
        EXPECT(one == two, "deed %d: %ld, libc %ld", d.value, (long)one, (long)two);
        EXPECT(libcs.memcmp(block, other, SIZE) == 0,
               "deed %d: to %zu from %zu near %zu, %zu bytes", d.value, d.to, d.from, d.near, d.n);
        EXPECT(!made[0] || strcmp(made[0], made[1]) == 0, "deed %d: another text", d.value);
        if (made[0]) free(made[0]), free(made[1]);
        count[d.value]++;
    }
    for (unsigned i = 0; i < DEEDS; i++) EXPECT(count[i] > 500, "deed %u: %u times", i, count[i]);
    return 0;
}
