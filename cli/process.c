/* What /proc says about a process. Its modules: modules.c; their order: lookup.c. */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fields.h"
#include "process_inside.h"

enum { ENVIRONMENT_MAX = 8 << 20 };

void process_path(const struct process *p, const char *path, char *to, size_t capacity)
{
    snprintf(to, capacity, "/proc/%d/root%s%s", (int)p->task, path[0] == '/' ? "" : "/", path);
}

/* Without the kernel's remark on a file that was removed, so that it compares with the maps. */
static void read_executable(struct process *p)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)p->task);
    ssize_t length = readlink(path, p->executable, sizeof p->executable - 1);
    if (length < 0) length = 0;
    p->executable[length] = 0;
    const char remark[] = " (deleted)";
    size_t cut = sizeof remark - 1;
    if ((size_t)length > cut && strcmp(p->executable + length - cut, remark) == 0)
        p->executable[(size_t)length - cut] = 0;
}

/* The auxiliary vector: pairs of words as wide as the process's own; a 32-bit process writes pairs
 * of 4 bytes, which the width tells apart. */
static bool read_secure(struct process *p, unsigned width)
{
    char path[64];
    struct file_text text;
    bool secure = false;
    snprintf(path, sizeof path, "/proc/%d/auxv", (int)p->task);
    if (!file_read(&text, path, 1 << 16)) return false;
    for (size_t at = 0; at + 2ul * width <= text.size; at += 2ul * width) {
        uint64_t tag = 0, value = 0;
        memcpy(&tag, text.data + at, width); /* little endian: the low bytes come first */
        memcpy(&value, text.data + at + width, width);
        if (tag == AT_SECURE) secure = value != 0;
    }
    free(text.data);
    return secure;
}

static void read_environment(struct process *p)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)p->task);
    file_read(&p->environment, path, ENVIRONMENT_MAX);
}

static enum process_error maps_error(pid_t pid, int error)
{
    if (error == EACCES || error == EPERM) return PROCESS_FORBIDDEN;
    if (error == ENOMEM) return PROCESS_NO_MEMORY;
    if (access("/proc/self", F_OK) != 0) return PROCESS_NO_PROC;
    /* hidepid=2 makes /proc deny processes that exist. */
    return kill(pid, 0) == 0 || errno == EPERM ? PROCESS_FORBIDDEN : PROCESS_NONE;
}

enum process_error process_read(struct process *p, pid_t pid, const struct memory *memory)
{
    *p = (struct process){.pid = pid, .task = task_living(pid)};
    p->memory = memory_of(&p->memory_context, p->task);
    if (memory) p->memory = *memory;
    if (!maps_read(&p->maps, p->task)) return maps_error(pid, errno);
    task_name(pid, p->name, sizeof p->name);
    if (p->maps.count == 0) return PROCESS_EMPTY;
    read_executable(p);
    read_environment(p);
    if (!modules_read(p)) return PROCESS_NO_MEMORY;
    struct module *program = process_executable(p);
    bool narrow = program && program->source != MODULE_UNREAD &&
                  program->image.header.e_ident[EI_CLASS] == ELFCLASS32;
    p->secure = read_secure(p, narrow ? 4 : 8);
    lookup_order(p);
    return PROCESS_READ;
}

void process_finish(struct process *p)
{
    for (size_t i = 0; i < p->module_count; i++) elf_image_close(&p->modules[i].image);
    free(p->modules);
    free(p->environment.data);
    maps_finish(&p->maps);
    memory_finish(&p->memory_context);
    *p = (struct process){0};
}

const char *process_variable(const struct process *p, const char *name)
{
    size_t length = strlen(name);
    const char *end = p->environment.data + p->environment.size;
    for (const char *at = p->environment.data; at && at < end; at += strlen(at) + 1) {
        if (strncmp(at, name, length) == 0 && at[length] == '=') return at + length + 1;
    }
    return NULL;
}

struct module *process_executable(const struct process *p)
{
    for (size_t i = 0; i < p->module_count; i++) {
        if (p->modules[i].executable) return &p->modules[i];
    }
    return NULL;
}

bool process_is_static(const struct process *p)
{
    char interpreter[4096];
    struct module *program = process_executable(p);
    return program && program->source != MODULE_UNREAD && p->module_count == 1 &&
           !elf_image_interpreter(&program->image, interpreter, sizeof interpreter);
}

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

struct module *process_module(const struct process *p, const char *name)
{
    for (size_t i = 0; i < p->module_count; i++) {
        struct module *m = &p->modules[i];
        if (strcmp(m->soname, base_name(name)) == 0 ||
            strcmp(base_name(m->path), base_name(name)) == 0)
            return m;
    }
    return NULL;
}

void preload_each(const char *list, bool (*each)(void *context, const char *entry), void *context)
{
    char entry[4096];
    while (*list) {
        size_t length = strcspn(list, ": ");
        if (length > 0 && length < sizeof entry) {
            memcpy(entry, list, length);
            entry[length] = 0;
            if (!each(context, entry)) return;
        }
        list += length + (list[length] != 0);
    }
}
