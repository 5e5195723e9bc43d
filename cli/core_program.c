/*
 * Whether a file is the program that a core file is of: by what is in the two, never by their names, since a
 * program may have been copied elsewhere, and another one, or another build of it, may have its name.
 *
 *     build id    of the file, and in the page of the program's header if the core has that      decides
 *     headers     the same page, where neither has a build id                                    decides
 *     mappings    where the core says that each part of the file lay, and where it began to run,
 *                 against the file's program headers: another program hardly fits them
 *
 * A core that says neither what was mapped nor where it began fits every program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core_file.h"
#include "elf_image.h"
#include "human.h"

enum { BUILD_ID_MAX = 64, HEAD_MAX = 64 << 10, GNU_BUILD_ID = 3 };

/* ---- the header in the core ----------------------------------------------------------------- */

/* As far as it is there; false: it is not. */
static bool open_header(struct elf_image *header, const struct image *image, uint64_t start)
{
    const struct segment *s = image_segment(image, start);
    uint64_t size = s ? s->end - start : 0;
    if (size > HEAD_MAX) size = HEAD_MAX;
    const unsigned char *bytes = size ? image_at(image, start, size) : NULL;
    char *copy = bytes ? malloc(size) : NULL;
    if (!copy) return false;
    memcpy(copy, bytes, size);
    return elf_image_open_memory(header, copy, size, start);
}

static size_t build_id(const struct elf_image *image, unsigned char id[BUILD_ID_MAX])
{
    size_t size = 0;
    uint64_t address;
    return elf_image_note(image, "GNU", GNU_BUILD_ID, id, &size, BUILD_ID_MAX, &address) ? size : 0;
}

static bool same_headers(const struct elf_image *a, const struct elf_image *b)
{
    GElf_Phdr x, y;
    if (a->segments != b->segments || a->header.e_entry != b->header.e_entry) return false;
    for (size_t i = 0; i < a->segments; i++) {
        if (!gelf_getphdr(a->elf, (int)i, &x) || !gelf_getphdr(b->elf, (int)i, &y) ||
            memcmp(&x, &y, sizeof x) != 0)
            return false;
    }
    return true;
}

static const char *compare_header(const struct elf_image *file, const struct elf_image *header)
{
    unsigned char wanted[BUILD_ID_MAX], found[BUILD_ID_MAX];
    size_t size = build_id(header, wanted);
    if (build_id(file, found) != size || memcmp(wanted, found, size) != 0)
        return "their build ids differ";
    return size || same_headers(file, header) ? NULL : "their program headers differ";
}

/* ---- the mappings --------------------------------------------------------------------------- */

/* A part of the file of which the mapping is a part, at the right place. */
static bool is_loaded(const struct elf_image *file, const struct mapping *m, uint64_t bias)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < file->segments; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(file->elf, (int)i, &p) || p.p_type != PT_LOAD) continue;
        uint64_t from = p.p_offset & ~(page - 1);
        uint64_t to = (p.p_offset + p.p_filesz + page - 1) & ~(page - 1);
        bool inside = m->offset >= from && m->offset + (m->end - m->start) <= to;
        if (inside && m->start - m->offset == bias + p.p_vaddr - p.p_offset) return true;
    }
    return false;
}

static const char *compare_mappings(const struct elf_image *file, const struct core *core,
                                    const struct image *image)
{
    uint64_t bias = elf_image_bias(file, core->beginning);
    if (file->header.e_entry + bias != core->entry) return "it began to run elsewhere";
    for (size_t i = 0; i < image->maps.count; i++) {
        const struct mapping *m = &image->maps.list[i];
        if (strcmp(m->path, core->program) == 0 && !is_loaded(file, m, bias))
            return "it was mapped otherwise";
    }
    return NULL;
}

/* ---- both ----------------------------------------------------------------------------------- */

static const char *compare(const struct elf_image *file, const struct core *core,
                           const struct image *image)
{
    struct elf_image header;
    if (!core->beginning) return NULL;
    if (!open_header(&header, image, core->beginning)) return compare_mappings(file, core, image);
    const char *why = compare_header(file, &header);
    elf_image_close(&header);
    return why;
}

bool core_is_of(const struct core *core, const struct image *image, const char *executable,
                char why[IMAGE_WHY])
{
    struct elf_image file;
    errno = 0;
    if (!elf_image_open_path(&file, executable)) {
        const char *what = errno == ENOENT || errno == ENOTDIR ? "does not exist"
                           : errno == EACCES || errno == EPERM ? "may not be read"
                                                               : "is no program: not ELF";
        snprintf(why, IMAGE_WHY, "%s %s", executable, what);
        return false;
    }
    const char *difference = compare(&file, core, image);
    elf_image_close(&file);
    char clean[200] = "";
    if (difference) human_clean(clean, sizeof clean, core->program);
    if (difference)
        snprintf(why, IMAGE_WHY, "the core file is not of %s but of %s: %s", executable, clean,
                 difference);
    return !difference;
}
