/*
 * A running process as seen from outside: its maps, the modules in them, and the order in which
 * the loader looks names up in those modules.
 *
 * That order decides who owns `malloc`. Three sources, the best that is permitted is used:
 *   the loader's own list, read from the process (needs the right to read its memory);
 *   else the loader's rule, redone from the files: executable, preloaded libraries, then the
 *   libraries that each of them needs, breadth first;
 *   modules that neither reaches were loaded by dlopen and follow at the end.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include "allocators.h"
#include "elf_image.h"
#include "file.h"
#include "maps.h"
#include "memory.h"

enum module_source {
    MODULE_UNREAD, /* neither the file nor the memory could be read: known by name only */
    MODULE_FILE,
    MODULE_MEMORY, /* the file is gone or out of reach: taken from what is mapped */
};

struct module {
    const char *path;
    uint64_t start, end; /* of its mappings */
    uint64_t offset;     /* in the file, of the first of them: 0 but in odd cases */
    uint64_t bias;       /* address in the process minus address in the file */
    bool executable;     /* the program itself */
    bool deleted;        /* the file was replaced or removed since */
    bool placed;         /* has its place in the lookup order */
    enum module_source source;
    struct elf_image image;
    char soname[128];
    struct allocator_signs signs;
};

enum lookup_source { LOOKUP_LOADER, LOOKUP_RULE };

struct process {
    pid_t pid;
    pid_t
        task; /* under whose id the kernel shows its memory: `pid`, or a thread that outlived the first */
    char name[64]; /* as ps shows it, cleaned for the terminal */
    char executable[4096];
    struct file_text environment; /* variables as at the start, each ended by 0; data may be NULL */
    bool secure;                  /* AT_SECURE: setuid or the like; the loader ignored LD_PRELOAD */
    struct maps maps;
    struct process_memory memory_context;
    struct memory memory;
    struct module *modules; /* in lookup order */
    size_t module_count;
    enum lookup_source lookup;
};

enum process_error {
    PROCESS_READ,
    PROCESS_NO_PROC,   /* /proc is not mounted */
    PROCESS_NONE,      /* no such process, or one that /proc hides */
    PROCESS_FORBIDDEN, /* not permitted to read its maps */
    PROCESS_EMPTY,     /* no user memory: a kernel thread, or it has ended */
    PROCESS_NO_MEMORY,
};

/* Reads its memory through `memory`, or, if that is NULL, as far as permitted. process_finish in any
 * case. */
enum process_error process_read(struct process *p, pid_t pid, const struct memory *memory);
void process_finish(struct process *p);

/* The value of a variable in the environment the process was started with, or NULL. */
const char *process_variable(const struct process *p, const char *name);

/* The path of a file as the process names it, reachable from here: through /proc/PID/root. */
void process_path(const struct process *p, const char *path, char *to, size_t capacity);

/* The program itself, or NULL. */
struct module *process_executable(const struct process *p);

/* Whether the program was linked without a loader. */
bool process_is_static(const struct process *p);

/* The module whose file name or soname is `name` (which may be a path), or NULL. */
struct module *process_module(const struct process *p, const char *name);

/* The part of a path after the last slash. */
const char *base_name(const char *path);

/* Calls `each` with each entry of LD_PRELOAD in `list`, which is separated by colons and spaces,
 * until it returns false. */
void preload_each(const char *list, bool (*each)(void *context, const char *entry), void *context);

#endif
