/*
 * The modules of a process: which mappings belong together, and the file behind them.
 *
 * A module is a file with executable mappings that is ELF. Its mappings lie together, the one at
 * offset 0 first:
 *
 *     r--p 00000000 ... libx.so      <- start: the ELF header
 *     r-xp 00012000 ... libx.so      <- found by this one
 *     r--p 00045000 ... libx.so
 *     rw-p 00051000 ... libx.so
 *
 * The file is reached by the first of these that works: /proc/PID/exe, /proc/PID/map_files (also
 * when the file was deleted, but privileged), its path under /proc/PID/root if that still is the
 * same file. Otherwise what is mapped of it is put together again from the memory of the process.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process_inside.h"

/* What can be put together from memory at most; the largest libraries have some 200 MiB. */
#define IMAGE_MAX ((uint64_t)512 << 20)

/* The index of the mapping of the file's beginning, going back from one of its mappings. */
static size_t first_of(const struct maps *maps, size_t i)
{
    while (i > 0 && maps->list[i].offset != 0 && maps_same_file(&maps->list[i], &maps->list[i - 1]))
        i--;
    return i;
}

/* One behind the last mapping of the copy of the file that begins at `first`. */
static size_t end_of(const struct maps *maps, size_t first)
{
    size_t i = first + 1;
    while (i < maps->count && maps_same_file(&maps->list[i], &maps->list[first]) &&
           (maps->list[i].offset != 0 || maps->list[i - 1].offset == 0))
        i++;
    return i;
}

static int open_regular(const char *path, uint64_t inode)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    /* The device is not compared: on btrfs and overlayfs stat and the maps disagree about it. */
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_ino == inode) return fd;
    close(fd);
    return -1;
}

static int open_module(const struct process *p, const struct module *m, const struct mapping *first)
{
    char path[4200];
    int fd = -1;
    if (m->executable) {
        snprintf(path, sizeof path, "/proc/%d/exe", (int)p->task);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0) {
        snprintf(path, sizeof path, "/proc/%d/map_files/%lx-%lx", (int)p->task,
                 (unsigned long)first->start, (unsigned long)first->end);
        fd = open_regular(path, first->inode);
    }
    if (fd < 0 && !m->deleted) {
        process_path(p, m->path, path, sizeof path);
        fd = open_regular(path, first->inode);
    }
    return fd;
}

/* Puts the file together from its mappings, with holes where nothing is mapped or readable. */
static char *image_from_memory(const struct process *p, size_t first, size_t end, uint64_t *size)
{
    *size = 0;
    for (size_t i = first; i < end; i++) {
        const struct mapping *m = &p->maps.list[i];
        uint64_t stop;
        if (__builtin_add_overflow(m->offset, m->end - m->start, &stop) || stop > IMAGE_MAX)
            return NULL;
        if (stop > *size) *size = stop;
    }
    char *image = *size ? calloc(1, *size) : NULL;
    bool any = false;
    for (size_t i = first; image && i < end; i++) {
        const struct mapping *m = &p->maps.list[i];
        any |=
            m->readable && memory_read(&p->memory, m->start, image + m->offset, m->end - m->start);
    }
    if (any) return image;
    free(image);
    return NULL;
}

static bool is_elf(int fd)
{
    char magic[SELFMAG];
    return pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
           memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/* Opens the image; false if the file turns out not to be an ELF file. */
static bool read_image(struct process *p, struct module *m, size_t first, size_t end)
{
    uint64_t size;
    int fd = open_module(p, m, &p->maps.list[first]);
    if (fd >= 0) {
        if (!is_elf(fd)) {
            close(fd);
            return false;
        }
        if (elf_image_open(&m->image, fd)) m->source = MODULE_FILE;
        return true;
    }
    char *memory = image_from_memory(p, first, end, &size);
    if (memory && elf_image_open_memory(&m->image, memory, size, m->start))
        m->source = MODULE_MEMORY;
    return true;
}

static void read_facts(struct module *m)
{
    if (m->source == MODULE_UNREAD) return;
    m->bias = elf_image_bias(&m->image, m->start - m->offset);
    elf_image_soname(&m->image, m->soname, sizeof m->soname);
    allocator_signs_read(&m->signs, &m->image, base_name(m->path));
    /* Without symbols only the messages are left; of a library the exported names are enough. */
    if (m->executable && !m->signs.symbol_table && m->signs.allocators == 0)
        allocator_signs_guess(&m->signs, &m->image);
}

/* True if the mapping begins a module, which is then in *m. */
static bool make_module(struct process *p, struct module *m, size_t first, size_t end)
{
    const struct mapping *head = &p->maps.list[first];
    *m = (struct module){
        .path = head->path,
        .start = head->start,
        .end = p->maps.list[end - 1].end,
        .offset = head->offset,
        .deleted = head->deleted,
        .executable = strcmp(head->path, p->executable) == 0,
        .image = {.fd = -1},
    };
    if (!read_image(p, m, first, end)) return false;
    read_facts(m);
    return true;
}

static bool is_new(const struct process *p, const struct mapping *m)
{
    for (size_t i = 0; i < p->module_count; i++) {
        if (p->modules[i].start <= m->start && m->start < p->modules[i].end) return false;
    }
    return true;
}

bool modules_read(struct process *p)
{
    size_t capacity = 0;
    for (size_t i = 0; i < p->maps.count; i++) {
        const struct mapping *m = &p->maps.list[i];
        if (!m->executable || m->inode == 0 || !is_new(p, m)) continue;
        if (p->module_count == capacity) {
            capacity = capacity ? capacity * 2 : 32;
            struct module *grown = realloc(p->modules, capacity * sizeof *grown);
            if (!grown) return false;
            p->modules = grown;
        }
        size_t first = first_of(&p->maps, i), end = end_of(&p->maps, first);
        if (make_module(p, &p->modules[p->module_count], first, end)) p->module_count++;
    }
    return true;
}
