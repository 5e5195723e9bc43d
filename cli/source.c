/* See source.h. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demangle.h"
#include "elf_image.h"
#include "human.h"
#include "source.h"

/* ---- libdw ---------------------------------------------------------------------------------- */

/* Declared here, as its ABI has them, since its headers are of no other use. */
struct dw_die {
    void *address, *unit, *abbreviation;
    long padding;
};
struct dw;
struct dw_line;

static struct {
    struct dw *(*begin)(int fd, int command);
    int (*end)(struct dw *dw);
    struct dw_die *(*address_die)(struct dw *dw, uint64_t address, struct dw_die *die);
    struct dw_line *(*line_of)(struct dw_die *unit, uint64_t address);
    const char *(*line_file)(struct dw_line *line, uint64_t *time, uint64_t *length);
    int (*line_number)(struct dw_line *line, int *number);
    int (*next_unit)(struct dw *dw, uint64_t at, uint64_t *next, size_t *header,
                     uint64_t *abbreviations, uint8_t *address_size, uint8_t *offset_size);
    struct dw_die *(*die_at)(struct dw *dw, uint64_t at, struct dw_die *die);
    int (*has_address)(struct dw_die *die, uint64_t address);
    bool tried, there;
} libdw;

static void *take(void *library, const char *name, bool *all)
{
    void *symbol = library ? dlsym(library, name) : NULL;
    if (!symbol) *all = false;
    return symbol;
}

/* What was loaded stays. */
static bool libdw_load(void)
{
    bool all = true;
    if (libdw.tried) return libdw.there;
    libdw.tried = true;
    void *library = dlopen("libdw.so.1", RTLD_LAZY | RTLD_LOCAL);
    *(void **)&libdw.begin = take(library, "dwarf_begin", &all);
    *(void **)&libdw.end = take(library, "dwarf_end", &all);
    *(void **)&libdw.address_die = take(library, "dwarf_addrdie", &all);
    *(void **)&libdw.line_of = take(library, "dwarf_getsrc_die", &all);
    *(void **)&libdw.line_file = take(library, "dwarf_linesrc", &all);
    *(void **)&libdw.line_number = take(library, "dwarf_lineno", &all);
    *(void **)&libdw.next_unit = take(library, "dwarf_nextcu", &all);
    *(void **)&libdw.die_at = take(library, "dwarf_offdie", &all);
    *(void **)&libdw.has_address = take(library, "dwarf_haspc", &all);
    return libdw.there = all;
}

/* clang writes no table of which unit an address is in: then each is asked. */
static bool unit_search(struct dw *dw, uint64_t address, struct dw_die *unit)
{
    enum { UNITS_MAX = 1 << 20 };
    uint64_t at = 0, next, abbreviations;
    uint8_t address_size, offset_size;
    size_t header;
    for (int i = 0; i < UNITS_MAX; i++, at = next) {
        if (libdw.next_unit(dw, at, &next, &header, &abbreviations, &address_size, &offset_size) !=
            0)
            return false;
        if (libdw.die_at(dw, at + header, unit) && libdw.has_address(unit, address) == 1)
            return true;
        if (next <= at) return false;
    }
    return false;
}

static void find_line(struct dw *dw, uint64_t address, struct source_place *place)
{
    struct dw_die unit;
    if (!libdw.address_die(dw, address, &unit) && !unit_search(dw, address, &unit)) return;
    struct dw_line *line = libdw.line_of(&unit, address);
    const char *file = line ? libdw.line_file(line, NULL, NULL) : NULL;
    if (!file || libdw.line_number(line, &place->line) != 0) return;
    human_clean(place->file, sizeof place->file, file);
}

/* ---- files ---------------------------------------------------------------------------------- */

enum { FILES_MAX = 64 };

static struct file {
    char path[PATH_MAX];
    struct elf_image image, debug; /* elf NULL: not there */
    struct dw *dw;
    int fd; /* dw's */
} * files[FILES_MAX];
static size_t file_count;

/* Only what is a file is opened: the name comes from a process that may have been misled. */
static bool open_file(const char *path, struct elf_image *image, int *fd)
{
    struct stat status;
    if (*path != '/' || stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    if (!elf_image_open_path(image, path)) return false;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return true;
}

static bool debug_path(const struct elf_image *image, char *path, size_t capacity)
{
    enum { BUILD_ID = 3, SIZE_MOST = 64 };
    uint8_t id[SIZE_MOST];
    size_t size, at;
    uint64_t address;
    if (!elf_image_note(image, "GNU", BUILD_ID, id, &size, sizeof id, &address) || size < 2)
        return false;
    at = (size_t)snprintf(path, capacity, "/usr/lib/debug/.build-id/%02x/", id[0]);
    for (size_t i = 1; i < size && at + 2 < capacity; i++, at += 2)
        snprintf(path + at, capacity - at, "%02x", id[i]);
    snprintf(path + at, capacity - at, ".debug");
    return true;
}

static void open_debug(struct file *f, int fd)
{
    char path[PATH_MAX];
    int other = -1;
    if (!libdw_load()) {
        close(fd);
        return;
    }
    bool apart = debug_path(&f->image, path, sizeof path) && open_file(path, &f->debug, &other);
    f->fd = apart ? other : fd;
    if (apart) close(fd);
    if (f->fd >= 0) f->dw = libdw.begin(f->fd, 0);
}

static struct file *file_of(const char *path)
{
    for (size_t i = 0; i < file_count; i++)
        if (strcmp(files[i]->path, path) == 0) return files[i];
    if (file_count == FILES_MAX || strlen(path) >= PATH_MAX) return NULL;
    struct file *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    int fd = -1;
    f->fd = -1;
    snprintf(f->path, sizeof f->path, "%s", path);
    files[file_count++] = f;
    if (open_file(path, &f->image, &fd))
        open_debug(f, fd);
    else
        f->image.elf = NULL;
    return f;
}

void source_finish(void)
{
    for (size_t i = 0; i < file_count; i++) {
        if (files[i]->dw) libdw.end(files[i]->dw);
        if (files[i]->fd >= 0) close(files[i]->fd);
        if (files[i]->image.elf) elf_image_close(&files[i]->image);
        if (files[i]->debug.elf) elf_image_close(&files[i]->debug);
        free(files[i]);
    }
    file_count = 0;
}

/* ---- functions ------------------------------------------------------------------------------ */

struct search {
    uint64_t address, value;
    char name[SYMBOL_MAX];
};

static bool take_function(void *context, const struct elf_symbol *symbol)
{
    struct search *s = context;
    bool covers = symbol->value <= s->address && s->address - symbol->value < symbol->size;
    if (!covers || !symbol->function || (s->name[0] && symbol->value <= s->value)) return true;
    s->value = symbol->value;
    snprintf(s->name, sizeof s->name, "%s", symbol->name);
    return true;
}

static void find_function(const struct file *f, uint64_t address, struct source_place *place)
{
    struct search s = {.address = address};
    elf_image_symbols(&f->image, take_function, &s);
    if (!s.name[0] && f->debug.elf) elf_image_symbols(&f->debug, take_function, &s);
    if (!s.name[0]) return;
    char name[sizeof place->function];
    demangle_type(s.name, name, sizeof name);
    human_clean(place->function, sizeof place->function, name);
    place->offset = address - s.value;
}

void source_find(const char *path, uint64_t address, struct source_place *place)
{
    *place = (struct source_place){0};
    struct file *f = file_of(path);
    if (!f || !f->image.elf) return;
    find_function(f, address, place);
    if (f->dw) find_line(f->dw, address, place);
}
