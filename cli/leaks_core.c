/* From a core file to an image, and to the files that name its types. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "clock.h"
#include "leaks_process.h"

enum { OPENED_MAX = 1024 };

/* The program that was given, where the core names another path. */
static const char *path_of(const struct leaks *l, const struct mapping *m)
{
    const char *program = l->core.program, *given = l->request.executable;
    if (!given) return m->path;
    bool is_program =
        program ? strcmp(program, m->path) == 0 : strcmp(base_name(given), base_name(m->path)) == 0;
    return is_program ? given : m->path;
}

static bool add_file(struct leaks *l, const struct mapping *m)
{
    struct named_file *f = &l->files[l->file_count];
    struct elf_image *image = &l->opened[l->opened_count];
    const char *path = path_of(l, m);
    if (l->opened_count == OPENED_MAX || !elf_image_open_path(image, path)) return false;
    *f = (struct named_file){m->start, m->end, elf_image_bias(image, m->start), path, image};
    l->opened_count++;
    l->file_count++;
    return true;
}

/* A file's mappings follow each other, the one of its beginning first. */
static bool take_files(struct leaks *l)
{
    const struct maps *maps = &l->image.maps;
    l->files = calloc(OPENED_MAX + 1, sizeof *l->files);
    l->opened = calloc(OPENED_MAX + 1, sizeof *l->opened);
    if (!l->files || !l->opened) return false;
    bool current = false;
    for (size_t i = 0; i < maps->count; i++) {
        const struct mapping *m = &maps->list[i];
        if (!*m->path) continue;
        if (m->offset == 0 && (i == 0 || strcmp(maps->list[i - 1].path, m->path) != 0))
            current = add_file(l, m);
        else if (current && strcmp(maps->list[i - 1].path, m->path) == 0)
            l->files[l->file_count - 1].end = m->end;
    }
    return true;
}

int leaks_of_core(struct leaks *l)
{
    char why[IMAGE_WHY] = "";
    l->began_ns = clock_ns();
    const char *path = l->request.core, *executable = l->request.executable;
    if (!core_open(&l->core, &l->image, path, why)) return refuse(LEAKS_ERROR, "%s", why);
    human_clean(l->name, sizeof l->name, l->core.name[0] ? l->core.name : base_name(path));
    l->threads = l->image.thread_count;
    if (executable && !core_is_of(&l->core, &l->image, executable, why))
        return refuse(LEAKS_ERROR, "%s", why);
    if (l->threads == 0)
        return refuse(LEAKS_ERROR,
                      "%s tells of no thread%s: without registers and stacks what they hold "
                      "would look lost",
                      path, l->image.truncated ? " and is cut off (disk full, ulimit -c?)" : "");
    return take_files(l) ? 0 : refuse(LEAKS_ERROR, "out of memory");
}

void leaks_core_finish(struct leaks *l)
{
    for (size_t i = 0; i < l->opened_count; i++) elf_image_close(&l->opened[i]);
    free(l->opened);
    core_finish(&l->core);
}
