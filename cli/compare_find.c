/*
 * Which allocators there are on this machine: libraries that lie where the loader looks, have a name
 * that an allocator's library has, and export malloc. What each is, its symbols tell (allocators.c).
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocators.h"
#include "cli.h"
#include "compare.h"
#include "library.h"
#include "maps.h"
#include "process.h"

/* As distributions name them. Debugging variants are no rivals. */
static const char *const patterns[] = {
    "libjemalloc.so.[0-9]",
    "libtcmalloc_minimal.so.[0-9]",
    "libtcmalloc.so.[0-9]",
    "libmimalloc.so.[0-9]",
    "libmimalloc-secure.so.[0-9]",
    "librpmalloc.so*",
    "libsnmallocshim.so*",
    "libhoard.so*",
    "libtbbmalloc_proxy.so.[0-9]",
    "libhardened_malloc*.so*",
    "libisoalloc.so*",
    "libscudo*.so*",
    "libmesh.so*",
    "libllalloc.so*",
    "libumem_malloc.so*",
    "libclang_rt.scudo_standalone*.so",
};

static bool is_known(const struct compare *compare, const char *library)
{
    for (size_t i = 0; i < compare->count; i++) {
        if (strcmp(compare->candidates[i].library, library) == 0) return true;
    }
    return false;
}

static bool name_is_taken(const struct compare *compare, const char *name)
{
    for (size_t i = 0; i < compare->count; i++) {
        if (strcmp(compare->candidates[i].name, name) == 0) return true;
    }
    return false;
}

static struct candidate *candidate_new(struct compare *compare, const char *name,
                                       const char *library)
{
    if (compare->count == CANDIDATES_MAX) return NULL;
    bool taken = name_is_taken(compare, name);
    struct candidate *c = &compare->candidates[compare->count++];
    *c = (struct candidate){0};
    human_clean(c->name, sizeof c->name, taken ? base_name(library) : name);
    snprintf(c->library, sizeof c->library, "%s", library);
    return c;
}

/* For the machine that our library is for, and so is the program: see program_examine. */
static bool is_for_machine(const struct compare *compare, const struct elf_image *image)
{
    struct elf_image ours;
    if (!elf_image_open_path(&ours, compare->library)) return false;
    bool same = ours.header.e_machine == image->header.e_machine &&
                ours.header.e_ident[EI_CLASS] == image->header.e_ident[EI_CLASS];
    elf_image_close(&ours);
    return same;
}

/* Whether the library could be preloaded as an allocator; `name` is what it is. */
static bool is_allocator(const struct compare *compare, const char *path, char *name,
                         size_t capacity)
{
    struct elf_image image;
    struct allocator_signs signs;
    if (strpbrk(path, ": ") || !elf_image_open_path(&image, path)) return false;
    bool fits = is_for_machine(compare, &image);
    allocator_signs_read(&signs, &image, base_name(path));
    elf_image_close(&image);
    if (!fits) return false;
    int allocator = allocator_first(signs.allocators);
    snprintf(name, capacity, "%s",
             allocator == ALLOCATOR_NONE ? base_name(path) : allocator_name(allocator));
    return signs.exported & 1u << FUNCTION_MALLOC;
}

static void take_file(struct compare *compare, const char *path)
{
    char name[64], real[PATH_MAX];
    if (!realpath(path, real) || is_known(compare, real)) return;
    if (is_allocator(compare, real, name, sizeof name)) candidate_new(compare, name, real);
}

static void take_folder(struct compare *compare, const char *folder)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char pattern[PATH_MAX + 64];
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s/%s", folder, patterns[i]);
        if (glob(pattern, 0, NULL, &found) != 0) continue;
        for (size_t j = 0; j < found.gl_pathc; j++) take_file(compare, found.gl_pathv[j]);
        globfree(&found);
    }
}

/* Where this command's own C library lies: the folder of the machine's kind, whatever it is called. */
static void take_folder_of_libc(struct compare *compare)
{
    struct maps maps;
    char folder[PATH_MAX] = "";
    if (maps_read(&maps, getpid())) {
        for (size_t i = 0; i < maps.count && !*folder; i++) {
            const char *path = maps.list[i].path;
            if (strcmp(base_name(path), "libc.so.6") == 0)
                snprintf(folder, sizeof folder, "%.*s", (int)(base_name(path) - path - 1), path);
        }
    }
    maps_finish(&maps);
    if (*folder) take_folder(compare, folder);
}

static bool take_entry(void *context, const char *folder)
{
    take_folder(context, folder);
    return true;
}

static void take_ours(struct compare *compare)
{
    static const char plain[] = "libfreehold.so.1", hardened[] = "libfreehold-hardened.so.1";
    struct candidate *c = candidate_new(compare, "Freehold", compare->library);
    if (c) c->ours = true;
    char path[PATH_MAX + 64];
    size_t folder = (size_t)(base_name(compare->library) - compare->library);
    if (strcmp(compare->library + folder, plain) != 0) return;
    snprintf(path, sizeof path, "%.*s%s", (int)folder, compare->library, hardened);
    if (access(path, R_OK) != 0) return;
    c = candidate_new(compare, "Freehold hardened", path);
    if (c) c->ours = true;
}

void candidates_find(struct compare *compare)
{
    static const char *const folders[] = {
        "/usr/local/lib", "/usr/local/lib64", "/usr/lib64", "/usr/lib", "/usr/lib/clang/*/lib/*",
    };
    candidate_new(compare, "as it is", "");
    const char *list = getenv("LD_LIBRARY_PATH");
    if (list) preload_each(list, take_entry, compare);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) take_folder(compare, folders[i]);
    take_folder_of_libc(compare);
    take_ours(compare);
}

int candidates_add(struct compare *compare, const char *library)
{
    char name[64], real[PATH_MAX];
    if (!realpath(library, real))
        return refuse(STATUS_USAGE, "--with: there is no library %s", library);
    if (!is_allocator(compare, real, name, sizeof name))
        return refuse(STATUS_USAGE, "--with: %s is no library for this machine that exports malloc",
                      library);
    if (is_known(compare, real)) return 0;
    if (!candidate_new(compare, name, real))
        return refuse(STATUS_USAGE, "--with: more than %d allocators", CANDIDATES_MAX);
    return 0;
}
