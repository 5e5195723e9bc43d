/*
 * A library that calls what is checked before anybody is ready for it: its resolver of an IFUNC runs while the dynamic
 * linker relocates it, which is before it relocates what is preloaded; its constructor runs before those of what is preloaded.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define PUBLIC __attribute__((visibility("default")))

/* Bit by bit what went wrong; 0 nothing. Written by the resolver, which may not refer to relocated data. */
static int wrong_in_resolver = -1, wrong_in_constructor = -1;

static int answer(void)
{
    return 42;
}

static int strings_wrong(char *to)
{
    char from[40];
    memset(from, 'x', sizeof from);
    memcpy(from, "early, and long enough", 23);
    memset(to, 'y', 40);
    int wrong = strcpy(to, from) != to || strlen(to) != 22;
    wrong |= (strcat(to, "!") != to || memcmp(to, "early, and long enough!", 24) != 0) << 1;
    memmove(to + 2, to, 20);
    wrong |= (memcmp(to, "eaearly, and long eno", 21) != 0) << 2;
    memmove(to, to + 2, 20);
    wrong |= (memcmp(to, "early, and long eno", 19) != 0) << 3;
    wrong |= (memchr(to, ',', 40) != to + 5 || stpcpy(to, "ab") != to + 2) << 4;
    strncpy(to, "abc", 6);
    wrong |= (memcmp(to, "abc\0\0\0", 6) != 0 || strnlen(to, 2) != 2) << 5;
    return wrong;
}

/* No more of libc than this works here without us, too. */
static int (*resolve(void))(void)
{
    char to[40];
    wrong_in_resolver = strings_wrong(to);
    return answer;
}
static int resolved(void) __attribute__((ifunc("resolve"))); /* while this library is relocated */
PUBLIC int early_answer(void)
{
    return resolved();
}

__attribute__((constructor)) static void construct(void)
{
    static wchar_t wide[20];
    char *to = malloc(40), *copy, line[20];
    int ends[2];
    wrong_in_constructor = strings_wrong(to);
    snprintf(to, 40, "%d", 4711);
    wrong_in_constructor |= (strcmp(to, "4711") != 0) << 6;
    wrong_in_constructor |= (pipe(ends) || write(ends[1], to, 5) != 5) << 7;
    wrong_in_constructor |= (read(ends[0], line, sizeof line) != 5 || strcmp(line, to) != 0) << 8;
    copy = strdup(to);
    wrong_in_constructor |= (copy == NULL || strcmp(copy, "4711") != 0) << 9;
    wrong_in_constructor |= (wcslen(wcscpy(wide, L"wide")) != 4) << 10;
    close(ends[0]);
    close(ends[1]);
    free(copy);
    free(to);
}

PUBLIC int early_wrong(void)
{
    if (wrong_in_resolver) return wrong_in_resolver | 1 << 20;
    return wrong_in_constructor;
}

/* In a constructor, and a byte too much. */
__attribute__((constructor)) static void misuse(void)
{
    if (!getenv("EARLY_MISUSE")) return;
    char *to = malloc(24);
    memset(to, 'x', 25);
}
