/* What misbehaves: built into a library, libexempt_bad.so, and into the program that uses it. */
#include <stdlib.h>
#include <string.h>

#include "exempt_bad.h"

__attribute__((noinline)) static void twice(char *p)
{
    free(p);
    free(p);
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void behind(char *p)
{
    memset(p, 'x', 41);
    free(p);
    __asm__ volatile("" ::: "memory");
}

/* _ZdlPv: operator delete. */
extern void bad_delete(void *p) __asm__("_ZdlPv");

__attribute__((noinline)) static void other(char *p)
{
    bad_delete(p);
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void read_on(char *p)
{
    char to[48];
    memcpy(to, p, sizeof to);
    __asm__ volatile("" : : "r"(to) : "memory");
    free(p);
}

void BAD_NAME(const char *how)
{
    char *p = malloc(40);
    if (strcmp(how, "twice") == 0) twice(p);
    if (strcmp(how, "behind") == 0) behind(p);
    if (strcmp(how, "other") == 0) other(p);
    if (strcmp(how, "read") == 0) read_on(p);
}
