/* The three places where the library may be wrong: not there, not it, not nameable. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf_image.h"
#include "library.h"

static bool beside_command(char *path, size_t capacity)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0) return false;
    self[length] = 0;
    for (int up = 0; up < 2; up++) { /* bin/freehold -> the directory that holds bin and lib */
        char *slash = strrchr(self, '/');
        if (!slash) return false;
        *slash = 0;
    }
    return snprintf(path, capacity, "%s/lib/libfreehold.so.1", self) < (int)capacity;
}

/* Made absolute: the program may change its directory and execute another. */
static bool chosen(char *path, size_t capacity)
{
    const char *choice = getenv("FREEHOLD_LIBRARY");
    if (!choice || !*choice) return false;
    char *full = realpath(choice, NULL);
    int n = snprintf(path, capacity, "%s", full ? full : choice);
    free(full);
    return n < (int)capacity;
}

static bool is_freehold(const char *path)
{
    struct elf_image image;
    struct elf_symbol symbol;
    if (!elf_image_open_path(&image, path)) return false;
    bool found = elf_image_symbol(&image, "fh_registry", &symbol);
    elf_image_close(&image);
    return found;
}

static bool is_hardened(const char *path)
{
    struct elf_image image;
    char soname[64] = "";
    if (!elf_image_open_path(&image, path)) return false;
    elf_image_soname(&image, soname, sizeof soname);
    elf_image_close(&image);
    return strcmp(soname, LIBRARY_HARDENED) == 0;
}

/* Another file in its folder. False: its path is too long. */
static bool turn(char *path, size_t capacity, const char *name)
{
    char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - path) : 0;
    return snprintf(path + folder, capacity - folder, "%s", name) < (int)(capacity - folder);
}

bool library_locate_calls(const char *hardened, char *path, size_t capacity, char *why,
                          size_t why_capacity)
{
    bool found = snprintf(path, capacity, "%s", hardened) < (int)capacity &&
                 turn(path, capacity, LIBRARY_CALLS) && access(path, R_OK) == 0;
    if (!found)
        snprintf(
            why, why_capacity,
            "the library %s, which checks calls of libc, is missing (%s); install it there, or "
            "do without by --options calls=0",
            path, strerror(errno));
    return found;
}

bool library_locate(bool hardened, char *path, size_t capacity, char *why, size_t why_capacity)
{
    *path = 0;
    bool found = chosen(path, capacity) || beside_command(path, capacity);
    if (found && hardened && !is_hardened(path)) found = turn(path, capacity, LIBRARY_HARDENED);
    if (!found)
        snprintf(why, why_capacity,
                 "cannot tell where this command lies, and so where its library is; set "
                 "FREEHOLD_LIBRARY to libfreehold.so.1");
    else if (strpbrk(path, ": "))
        snprintf(why, why_capacity,
                 "the library's path '%s' has a space or a colon, which LD_PRELOAD cannot express; "
                 "set FREEHOLD_LIBRARY to a copy elsewhere",
                 path);
    else if (access(path, R_OK) != 0)
        snprintf(why, why_capacity,
                 "the library %s is missing (%s); install it there, or set FREEHOLD_LIBRARY to "
                 "where libfreehold.so.1 is",
                 path, strerror(errno));
    else if (!is_freehold(path))
        snprintf(why, why_capacity,
                 "%s is not libfreehold (it has no symbol fh_registry); set FREEHOLD_LIBRARY to "
                 "where libfreehold.so.1 is",
                 path);
    else
        return true;
    return false;
}
