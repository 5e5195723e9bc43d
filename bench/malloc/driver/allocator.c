#include "allocator.h"

#include "common/child.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// --- finding them --------------------------------------------------------------------------------

static const struct {
    const char *name, *file, *package;
} packaged[] = {
    {"jemalloc", "libjemalloc.so.2", "libjemalloc2"},
    {"mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0"},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"},
};

static bool named_in(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += length)
        if ((at == list || strchr(" ,", at[-1])) && (!at[length] || strchr(" ,", at[length])))
            return true;
    return false;
}

// Adds it when it is wanted and exists; paths are made absolute, as LD_PRELOAD needs them.
static bool allocators_add(struct allocators *all, const char *only, const char *name,
                           const char *path)
{
    char absolute[PATH_MAX];
    if (only && !named_in(only, name)) return true;
    if (all->count == ALLOCATORS_MAX || !realpath(path, absolute)) return false;
    struct allocator *added = &all->list[all->count++];
    snprintf(added->name, sizeof added->name, "%s", name);
    snprintf(added->path, sizeof added->path, "%s", absolute);
    added->ours = !strcmp(name, "freehold");
    added->builtin = !strcmp(name, "glibc");
    return true;
}

static void add_glibc(struct allocators *all, const char *only)
{
    Dl_info info;
    if (dladdr((void *)malloc, &info)) allocators_add(all, only, "glibc", info.dli_fname);
}

static void add_packaged(struct allocators *all, const char *only)
{
    static const char *const folders[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
                                          "/usr/lib64", "/usr/lib"};
    for (unsigned i = 0; i < sizeof packaged / sizeof packaged[0]; i++) {
        bool found = false;
        for (unsigned f = 0; f < sizeof folders / sizeof folders[0] && !found; f++) {
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s/%s", folders[f], packaged[i].file);
            found = allocators_add(all, only, packaged[i].name, path);
        }
        if (!found)
            fprintf(stderr, "bench: without %s: %s is not installed\n", packaged[i].name,
                    packaged[i].package);
    }
}

static bool add_peers(struct allocators *all, const char *only, const char *peers)
{
    char *words = strdup(peers), *rest = NULL;
    bool good = words != NULL;
    for (char *word = strtok_r(words, " ,", &rest); good && word;
         word = strtok_r(NULL, " ,", &rest)) {
        char *path = strchr(word, '=');
        if (path) *path++ = '\0';
        good = path && *path && allocators_add(all, only, word, path);
        if (!good)
            fprintf(stderr, "bench: PEERS: %s: want name=path of a library that exists%s%s\n", word,
                    path ? ", not " : "", path ? path : "");
    }
    free(words);
    return good;
}

bool allocators_find(struct allocators *all, const char *library, const char *peers,
                     const char *only)
{
    all->count = 0;
    if (!allocators_add(all, only, "freehold", library))
        fprintf(stderr, "bench: without freehold: %s is not built\n", library);
    add_glibc(all, only);
    add_packaged(all, only);
    if (!add_peers(all, only, peers)) return false;
    if (!all->count) fprintf(stderr, "bench: no allocator of that name\n");
    return all->count > 0;
}

const char *allocator_preload(const struct allocator *allocator, bool links_another)
{
    return allocator->builtin && !links_another ? NULL : allocator->path;
}

// --- proving that they take effect ---------------------------------------------------------------

static bool same_file(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

// A line of the loader reads:  PID: binding file A [0] to B [0]: normal symbol `malloc'
// [GLIBC_2.2.5] True when it is about malloc; `target` then holds B.
static bool malloc_binding(char *line, char **target)
{
    char *to = strstr(line, "] to "), *end = to ? strstr(to, " [") : NULL;
    if (!end || !strstr(end, "symbol `malloc'")) return false;
    *target = to + strlen("] to ");
    *end = '\0';
    return true;
}

// In a program that is not position independent, other libraries find malloc at the program's own
// jump slot, which leads on to wherever the program's own reference is bound: those lines say
// nothing.
static bool bindings_agree(const char *trace, const char *program,
                           const struct allocator *allocator, char *why, size_t room)
{
    FILE *stream = fopen(trace, "re");
    char *line = NULL, *target;
    size_t line_room = 0, seen = 0;
    bool agree = true;
    while (stream && agree && getline(&line, &line_room, stream) >= 0)
        if (malloc_binding(line, &target) && !same_file(target, program)) {
            seen++;
            agree = same_file(target, allocator->path);
            if (!agree) snprintf(why, room, "preload without effect: malloc comes from %s", target);
        }
    if (!seen)
        snprintf(why, room, "preload without effect: the loader binds no malloc (static program?)");
    free(line);
    if (stream) fclose(stream);
    return agree && seen;
}

bool allocator_takes_effect(const struct allocator *allocator, const char *program,
                            bool links_another, const char *scratch_folder, char *why, size_t room)
{
    char output[PATH_MAX], trace[PATH_MAX + 16];
    snprintf(output, sizeof output, "LD_DEBUG_OUTPUT=%s/bindings", scratch_folder);
    const char *const settings[] = {"LD_DEBUG=bindings", "LD_BIND_NOW=1", output, NULL};
    const char *const arguments[] = {program, "--version", NULL};
    struct command command = {.arguments = arguments,
                              .preload = allocator_preload(allocator, links_another),
                              .settings = settings};
    struct child child;
    struct usage usage;
    if (!child_start(&child, &command)) return false;
    child_finish(&child, &usage);
    snprintf(trace, sizeof trace, "%s.%d", output + strlen("LD_DEBUG_OUTPUT="), (int)child.pid);
    bool effect = bindings_agree(trace, program, allocator, why, room);
    unlink(trace);
    return effect;
}
