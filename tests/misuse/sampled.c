/*
 * What sampled blocks catch, over the hardened library:    sampled CASE
 * Run with option sample=1: every block has pages of its own. Ends well if nothing was noticed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile char sink;

/* A block of `size` bytes with its end (or its start) at a page's, or anywhere. */
enum where { ANYWHERE, AT_START, AT_END };

static char *take(size_t size, enum where where)
{
    for (int i = 0; i < 10000; i++) {
        char *p = malloc(size);
        size_t start = (size_t)p % 4096, end = ((size_t)p + size) % 4096;
        if (where == ANYWHERE || (where == AT_START ? start : end) == 0) return p;
        free(p);
    }
    exit(3);
}

static void use_after_free(void)
{
    char *p = take(100, ANYWHERE);
    memset(p, 1, 100);
    free(p);
    sink = p[50];
}

static void write_after_free(void)
{
    char *p = take(100, ANYWHERE);
    free(p);
    p[50] = 1;
}

static void overflow(void)
{
    char *p = take(64, AT_END);
    for (int i = 0; i <= 64; i++) p[i] = 'x';
}

static void over_read(void)
{
    char *p = take(64, AT_END);
    memset(p, 'x', 64);
    for (int i = 0; i <= 64; i++) sink = p[i];
}

static void underflow(void)
{
    take(64, AT_START)[-1] = 'x';
}

static void off_by_one_zero(void)
{
    char *p = take(50, ANYWHERE);
    memset(p, 'x', 50);
    p[50] = 0; /* between the block and the end of its page, whichever side it is on */
    free(p);
}

static void double_free(void)
{
    char *p = take(100, ANYWHERE);
    free(p);
    free(p);
}

static void realloc_freed(void)
{
    char *p = take(100, ANYWHERE);
    free(p);
    if (realloc(p, 200) == NULL) exit(4);
}

static void *free_it(void *p)
{
    free(p);
    return NULL;
}

static void freed_by_thread(void)
{
    char *p = take(100, ANYWHERE);
    pthread_t thread;
    memset(p, 1, 100);
    pthread_create(&thread, NULL, free_it, p);
    pthread_join(thread, NULL);
    sink = p[0];
}

static void uninitialised(void)
{
    for (int i = 0; i < 100; i++) { /* one of eight is watched */
        char *p = malloc(200);
        sink = p[7];
        free(p);
    }
}

/* Nothing of this may be told. */
static void legal(void)
{
    int ends[2];
    if (pipe(ends) != 0) exit(5);
    for (int i = 0; i < 1000; i++) {
        char *p = malloc((size_t)i + 1);
        if (write(ends[1], "abc", 3) != 3 || read(ends[0], p, (size_t)(i < 3 ? i + 1 : 3)) < 1)
            exit(6);
        if (i < 2 && read(ends[0], (char[3]){0}, (size_t)(2 - i)) != 2 - i) exit(6);
        p = realloc(p, (size_t)i * 3 + 1);
        p[i * 3] = p[0];
        free(p);
        p = calloc(1, (size_t)i + 1);
        for (int k = 0; k <= i; k++)
            if (p[k] != 0) exit(7);
        free(p);
        p = realloc(malloc(10), 1000); /* never written to */
        p[999] = 1;
        free(p);
    }
}

static const struct {
    const char *name;
    void (*body)(void);
} cases[] = {
    {"use_after_free", use_after_free},
    {"write_after_free", write_after_free},
    {"overflow", overflow},
    {"over_read", over_read},
    {"underflow", underflow},
    {"off_by_one_zero", off_by_one_zero},
    {"double_free", double_free},
    {"realloc_freed", realloc_freed},
    {"freed_by_thread", freed_by_thread},
    {"uninitialised", uninitialised},
    {"legal", legal},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].body();
            return 0;
        }
    return 2;
}
