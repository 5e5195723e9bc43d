/*
 * Whether preloading can work on a program, told before it starts.
 *
 * A preloaded library that does not take effect leaves one line of the loader on stderr, or none,
 * and exit status 0: the field's commonest complaint. So everything that makes the loader ignore
 * LD_PRELOAD is looked for first, and each refusal says what, why and what to do.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "allocators.h"
#include "cli.h"
#include "process.h"
#include "run.h"

/* ---- finding the program ---------------------------------------------------------------------- */

static bool is_runnable(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* As the shell looks: an empty entry is the current directory. */
static bool search_path(const char *name, char *path, size_t capacity)
{
    const char *list = getenv("PATH");
    if (!list) list = "/bin:/usr/bin";
    for (;; list++) {
        size_t length = strcspn(list, ":");
        int n = snprintf(path, capacity, "%.*s/%s", length ? (int)length : 1, length ? list : ".",
                         name);
        if (n > 0 && n < (int)capacity && is_runnable(path)) return true;
        list += length;
        if (!*list) return false;
    }
}

int program_find(const char *name, char *path, size_t capacity)
{
    struct stat status;
    if (!*name) return refuse(STATUS_NOT_FOUND, "the program's name is empty");
    if (!strchr(name, '/')) {
        if (search_path(name, path, capacity)) return 0;
        return refuse(STATUS_NOT_FOUND, "there is no program '%s' in PATH%s", name,
                      is_runnable(name) ? "; there is one here: say ./ before it" : "");
    }
    if (stat(name, &status) != 0)
        return refuse(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE,
                      "cannot find %s: %s", name, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return refuse(STATUS_NOT_EXECUTABLE, "%s is a directory, not a program", name);
    if (!S_ISREG(status.st_mode))
        return refuse(STATUS_NOT_EXECUTABLE, "%s is no regular file, so no program", name);
    if (!is_runnable(name))
        return refuse(STATUS_NOT_EXECUTABLE, "%s may not be executed; chmod +x makes it executable",
                      name);
    snprintf(path, capacity, "%s", name);
    return 0;
}

/* ---- examining it ----------------------------------------------------------------------------- */

struct examined {
    const char *name; /* as it was asked for, for the messages */
    const char *path;
    const char *library;
};

/* A privileged program is one that gains rights by being executed, here and by this user. */
static bool gains_rights(const char *path, const char **how)
{
    struct stat status;
    struct statvfs mount;
    char capabilities[64];
    if (stat(path, &status) != 0) return false;
    if (statvfs(path, &mount) == 0 && mount.f_flag & ST_NOSUID) return false;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return false;
    *how = "is setuid";
    if (status.st_mode & S_ISUID && status.st_uid != getuid()) return true;
    *how = "is setgid";
    if (status.st_mode & S_ISGID && status.st_mode & S_IXGRP && status.st_gid != getgid())
        return true;
    *how = "has file capabilities";
    return getuid() != 0 &&
           getxattr(path, "security.capability", capabilities, sizeof capabilities) > 0;
}

static int examine_rights(const struct examined *e)
{
    const char *how;
    if (!gains_rights(e->path, &how)) return 0;
    return refuse(STATUS_OWN_FAILURE,
                  "cannot run %s: it %s, and for such programs the loader ignores LD_PRELOAD; "
                  "run freehold as the user that it becomes: sudo freehold run -- %s",
                  e->name, how, e->name);
}

/* Against the library: what the loader compares. */
static int examine_machine(const struct examined *e, const struct elf_image *program)
{
    struct elf_image library;
    char a[32], b[32];
    int status = 0;
    if (!elf_image_open_path(&library, e->library)) return 0;
    if (library.header.e_machine != program->header.e_machine ||
        library.header.e_ident[EI_CLASS] != program->header.e_ident[EI_CLASS])
        status = refuse(STATUS_OWN_FAILURE,
                        "cannot run %s: it is for %s and the library is for %s; build Freehold for "
                        "that machine and set FREEHOLD_LIBRARY",
                        e->name, elf_machine_name(program, a, sizeof a),
                        elf_machine_name(&library, b, sizeof b));
    elf_image_close(&library);
    return status;
}

/* The loader itself can be run as a program; it has no interpreter and preloads all the same. */
static bool is_loader(const struct elf_image *program)
{
    char soname[64];
    return elf_image_soname(program, soname, sizeof soname) && strncmp(soname, "ld", 2) == 0;
}

static int examine_loader(const struct examined *e, const struct elf_image *program)
{
    char loader[PATH_MAX];
    if (!elf_image_interpreter(program, loader, sizeof loader)) {
        if (is_loader(program)) return 0;
        return refuse(STATUS_OWN_FAILURE,
                      "cannot run %s: it is a static program, which no loader preloads into; link "
                      "it with libfreehold.a instead",
                      e->name);
    }
    if (strstr(loader, "ld-musl") || strstr(loader, "ld-uClibc") || strstr(loader, "/linker"))
        return refuse(STATUS_OWN_FAILURE,
                      "cannot run %s: it is linked with another C library (loader %s) and the "
                      "library here is for glibc; build Freehold against that C library",
                      e->name, loader);
    if (access(loader, X_OK) != 0)
        return refuse(STATUS_NOT_FOUND, "cannot run %s: its loader %s is missing (%s)", e->name,
                      loader, strerror(errno));
    return 0;
}

/* A sanitizer's runtime is known by its name: the file itself need not be found. */
static void note_sanitizer(void *context, const char *name)
{
    static const char *const runtimes[][2] = {
        {"libasan.", "AddressSanitizer"},     {"libtsan.", "ThreadSanitizer"},
        {"libhwasan.", "HWAddressSanitizer"}, {"liblsan.", "LeakSanitizer"},
        {"libclang_rt.", "a sanitizer"},
    };
    const char **found = context;
    for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++) {
        if (strncmp(name, runtimes[i][0], strlen(runtimes[i][0])) == 0) *found = runtimes[i][1];
    }
}

static int examine_allocator(const struct examined *e, const struct elf_image *program,
                             const struct allocator_signs *signs)
{
    const char *sanitizer = NULL;
    int allocator = allocator_first(signs->allocators);
    if (allocator_is_sanitizer(allocator)) sanitizer = allocator_name(allocator);
    elf_image_needed(program, note_sanitizer, &sanitizer);
    if (sanitizer)
        return refuse(STATUS_OWN_FAILURE,
                      "cannot run %s: it was built with %s, which must own malloc itself; build it "
                      "without",
                      e->name, sanitizer);
    if (signs->exported & 1u << FUNCTION_MALLOC)
        return refuse(STATUS_OWN_FAILURE,
                      "cannot run %s: it brings its own malloc (%s) inside the executable, which "
                      "goes before any preloaded one; build it without",
                      e->name, allocator_name(allocator));
    return 0;
}

static int examine_elf(const struct examined *e, const struct elf_image *program)
{
    struct allocator_signs signs;
    allocator_signs_read(&signs, program, "");
    /* A program with libfreehold.a inside needs no preloading, and finds the run file by itself. */
    if (allocator_first(signs.allocators) == ALLOCATOR_FREEHOLD) return 0;
    int status = examine_machine(e, program);
    if (!status) status = examine_loader(e, program);
    if (!status) status = examine_rights(e);
    if (!status) status = examine_allocator(e, program, &signs);
    return status;
}

/* The interpreter that the first line of a script names: "#! /usr/bin/env python3". */
static bool script_interpreter(const char *path, char *interpreter, size_t capacity)
{
    struct file_text text;
    if (!file_read(&text, path, PATH_MAX)) return false;
    bool script = text.size > 2 && text.data[0] == '#' && text.data[1] == '!';
    if (script) {
        const char *at = text.data + 2;
        at += strspn(at, " \t");
        snprintf(interpreter, capacity, "%.*s", (int)strcspn(at, " \t\r\n"), at);
    }
    free(text.data);
    return script;
}

int program_examine(const char *name, const char *path, const char *library)
{
    char current[PATH_MAX], interpreter[PATH_MAX];
    struct elf_image image;
    snprintf(current, sizeof current, "%s", path);
    for (int depth = 0; depth < 5; depth++) { /* as deep as the kernel goes */
        struct examined e = {name, current, library};
        if (elf_image_open_path(&image, current)) {
            int status = examine_elf(&e, &image);
            elf_image_close(&image);
            return status;
        }
        if (!script_interpreter(current, interpreter, sizeof interpreter)) return 0;
        if (access(interpreter, X_OK) != 0)
            return refuse(STATUS_NOT_FOUND, "cannot run %s: its interpreter %s is missing (%s)",
                          name, interpreter, strerror(errno));
        snprintf(current, sizeof current, "%s", interpreter);
    }
    return 0; /* the kernel will say it */
}
