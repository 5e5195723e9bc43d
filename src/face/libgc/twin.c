/*
 * Another libgc in the process: the original's, or this library a second time, through another path. The linker loads
 * a library once by its name; two come together by dlopen of a path.
 *
 * Neither looks into the other's objects, so what only these refer to is lost: the program is told. The variables of
 * the ABI are worse: the linker binds those of the second to the first's, which means other things there (the original
 * has its own function in GC_push_other_roots). So this library does not start as the second one beside another.
 */
#include <link.h>
#include <string.h>

#include "base/format.h"
#include "face/libgc/libgc.h"

static bool module_holds(const struct dl_phdr_info *info, const void *p)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_LOAD && (uintptr_t)p - start < header->p_memsz) return true;
    }
    return false;
}

static bool is_twin(const struct dl_phdr_info *info)
{
    const char *slash = strrchr(info->dlpi_name, '/'), *name = slash ? slash + 1 : info->dlpi_name;
    return strncmp(name, "libgc.so", 8) == 0 && !module_holds(info, &libgc);
}

static void twin_say(const char *path)
{
    char line[360];
    struct text t = TEXT(line);
    text_str(&t, "another libgc is loaded too, ");
    text_str(&t, path);
    text_str(&t, ": what only the objects of the one refer to the other does not keep");
    text_end(&t);
    libgc_say(line);
}

struct twin_search {
    unsigned long long added; /* modules ever loaded */
    const char *path;
};

static int twin_find(struct dl_phdr_info *info, size_t size, void *data)
{
    struct twin_search *search = data;
    (void)size;
    search->added = info->dlpi_adds;
    if (is_twin(info)) search->path = info->dlpi_name;
    return 0;
}

static int adds_read(struct dl_phdr_info *info, size_t size, void *added)
{
    (void)size;
    *(unsigned long long *)added = info->dlpi_adds;
    return 1;
}

/* At the start, and at collections, if something was loaded since. */
void twins_look(void)
{
    static unsigned long long seen;
    static bool said;
    unsigned long long added = 0;
    if (!said) dl_iterate_phdr(adds_read, &added);
    if (said || added == seen) return;
    struct twin_search search = {0, NULL};
    dl_iterate_phdr(twin_find, &search);
    seen = search.added;
    if (search.path == NULL) return;
    said = true;
    twin_say(search.path);
}

/* A program that was linked without PIC has copies of them, which is right: what counts is whether a library of this
 * name has them. */
static int has_variables(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    return is_twin(info) && module_holds(info, &GC_push_other_roots);
}

bool twins_have_variables(void)
{
    return dl_iterate_phdr(has_variables, NULL) != 0;
}
