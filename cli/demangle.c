/*
 * C++ names as they were written.
 *
 * Simple ones ("7Session", "N3net7SessionE") are read here. Templates and what the ABI abbreviates are for who
 * knows the whole grammar: the C++ runtime, which is on every machine that has such programs. It is loaded when the
 * first such name comes; without it the name stays as the linker knows it.
 *
 * Rejected: a demangler of our own, some thousand lines for a grammar that grows; to be linked to the runtime,
 * which most commands need not.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"

/* The parts of "N3net7SessionE" or "7Session", joined by "::"; false if it is more than that. */
static bool plain_name(const char *mangled, char *to, size_t capacity)
{
    size_t at = 0;
    bool nested = *mangled == 'N';
    mangled += nested;
    while (*mangled >= '1' && *mangled <= '9') {
        char *rest;
        unsigned long length = strtoul(mangled, &rest, 10);
        if (strlen(rest) < length || at + length + 3 > capacity) return false;
        if (at > 0) at += (size_t)sprintf(to + at, "::");
        memcpy(to + at, rest, length);
        at += length;
        to[at] = 0;
        mangled = rest + length;
    }
    return at > 0 && strcmp(mangled, nested ? "E" : "") == 0;
}

typedef char *(*demangler)(const char *mangled, char *to, size_t *capacity, int *status);

static demangler find_demangler(void)
{
    static const char *const runtimes[] = {"libstdc++.so.6", "libc++abi.so.1"};
    for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++) {
        void *runtime = dlopen(runtimes[i], RTLD_LAZY | RTLD_LOCAL);
        if (!runtime) continue;
        demangler found;
        *(void **)&found = dlsym(runtime, "__cxa_demangle");
        if (found) return found;
    }
    return NULL;
}

/* What was loaded stays. */
static char *by_runtime(const char *mangled)
{
    static bool tried;
    static demangler runtime;
    if (!tried) runtime = find_demangler();
    tried = true;
    int status = 0;
    return runtime ? runtime(mangled, NULL, NULL, &status) : NULL;
}

static void copy_cut(char *to, size_t capacity, const char *from)
{
    size_t length = strlen(from);
    snprintf(to, capacity, "%s", from);
    if (length >= capacity && capacity > 4) memcpy(to + capacity - 4, "...", 4);
}

void demangle_type(const char *symbol, char *to, size_t capacity)
{
    static const char table[] = "_ZTV", before[] = "vtable for ";
    bool is_table = strncmp(symbol, table, sizeof table - 1) == 0;
    if (is_table && plain_name(symbol + sizeof table - 1, to, capacity)) return;
    char *name = strncmp(symbol, "_Z", 2) == 0 ? by_runtime(symbol) : NULL;
    bool prefixed = name && strncmp(name, before, sizeof before - 1) == 0;
    copy_cut(to, capacity, !name ? symbol : prefixed ? name + sizeof before - 1 : name);
    free(name);
}
