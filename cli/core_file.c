/* Core files: segments first, then notes; see core_file.h. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "core_file.h"

enum {
    SEGMENTS_MAX = 1 << 20,
    THREADS_MAX = 1 << 20,
    FILES_MAX = 1 << 20,
    NOTES_MAX = 256 << 20,
    STATUS_REGISTERS = 112, /* struct elf_prstatus: pr_pid, pr_reg */
    STATUS_PID = 32,
    INFO_NAME = 40, /* struct elf_prpsinfo: pr_fname */
};

static const char cut_off[] =
    "is cut off before any memory: the disk was full, or ulimit -c too small";

/* A core within it is mapped once; to map pages again costs time. */
#define RESIDENT_MAX (2ull << 30)

struct reading {
    struct core *core;
    struct image *image;
    Elf *elf;
    GElf_Ehdr header;
    size_t capacity; /* of threads */
    const unsigned char *files;
    size_t files_size;
};

static bool refuse_core(char why[IMAGE_WHY], const char *path, const char *what)
{
    snprintf(why, IMAGE_WHY, "%s %s", path, what);
    return false;
}

/* Whoever cuts the file while it is read takes it from under the mapping. */
static void on_cut(int signal)
{
    static const char line[] =
        "freehold: the core file became shorter while it was read; wait until it "
        "is written\n";
    (void)signal;
    ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
    (void)written;
    _exit(STATUS_USAGE);
}

static bool map_file(struct core *core, struct image *image, const char *path, char why[IMAGE_WHY])
{
    struct stat status;
    core->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (core->fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        snprintf(why, IMAGE_WHY, "neither a process nor a file is named '%s'", path);
        return false;
    }
    if (core->fd < 0 || fstat(core->fd, &status) != 0)
        return refuse_core(why, path, "may not be read");
    if (!S_ISREG(status.st_mode)) return refuse_core(why, path, "is no file");
    if (status.st_size < (off_t)sizeof(Elf64_Ehdr))
        return refuse_core(why, path,
                           status.st_size ? "is no core file, or one that is cut off"
                                          : "is empty: the disk was full, or ulimit -c too small");
    core->size = (uint64_t)status.st_size;
    void *bytes = mmap(NULL, core->size, PROT_READ, MAP_PRIVATE, core->fd, 0);
    if (bytes == MAP_FAILED) return refuse_core(why, path, "cannot be mapped");
    image->copy = bytes;
    image->copy_size = core->size;
    signal(SIGBUS, on_cut);
    trim_start(&core->trim, bytes, core->size, RESIDENT_MAX);
    return true;
}

static bool check_header(struct reading *r, const char *path, char why[IMAGE_WHY])
{
    elf_version(EV_CURRENT);
    r->elf = elf_begin(r->core->fd, ELF_C_READ, NULL);
    if (!r->elf || elf_kind(r->elf) != ELF_K_ELF || !gelf_getehdr(r->elf, &r->header))
        return refuse_core(why, path,
                           "is no core file: not ELF (a compressed one must be unpacked "
                           "first: coredumpctl dump, zstd -d, gunzip)");
    if (r->header.e_type != ET_CORE)
        return refuse_core(why, path, "is no core file: give the core first, then the program");
    if (r->header.e_ident[EI_CLASS] != ELFCLASS64 || r->header.e_ident[EI_DATA] != ELFDATA2LSB ||
        (r->header.e_machine != EM_X86_64 && r->header.e_machine != EM_AARCH64))
        return refuse_core(why, path,
                           "is of a machine that is not known here: x86-64 and 64-bit Arm are");
    uint64_t table = (uint64_t)r->header.e_phnum * sizeof(Elf64_Phdr);
    if (r->header.e_phoff > r->core->size || table > r->core->size - r->header.e_phoff)
        return refuse_core(why, path, cut_off);
    return true;
}

/* ---- segments ------------------------------------------------------------------------------- */

/* The part of the file that is really there, hole by hole. */
static bool add_runs(struct reading *r, struct segment *s, uint64_t start, uint64_t offset,
                     uint64_t size)
{
    uint64_t at = offset, end = offset + size;
    while (at < end) {
        off_t data = lseek(r->core->fd, (off_t)at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) return true; /* a hole up to the end */
        if (data < 0) data = (off_t)at;
        off_t hole = lseek(r->core->fd, data, SEEK_HOLE);
        uint64_t from = (uint64_t)data, to = hole < 0 ? end : (uint64_t)hole;
        if (from >= end) return true;
        if (to > end) to = end;
        if (!image_add_run(r->image, s, start + (from - offset), start + (to - offset)))
            return false;
        at = to;
    }
    return true;
}

/* Adjacent in the process and in the file: a heap of huge pages is several segments. */
static struct segment *joined(struct reading *r, const GElf_Phdr *p, const unsigned char *bytes,
                              bool anonymous)
{
    struct image *image = r->image;
    struct segment *s = image->segments + image->segment_count;
    if (image->segment_count > 0 && anonymous && s[-1].anonymous && s[-1].end == p->p_vaddr &&
        s[-1].bytes + (s[-1].end - s[-1].start) == bytes)
        return s - 1;
    image->segment_count++;
    *s = (struct segment){
        .start = p->p_vaddr, .end = p->p_vaddr, .bytes = bytes, .anonymous = anonymous};
    return s;
}

static bool add_segment(struct reading *r, const GElf_Phdr *p, struct mapping *m)
{
    uint64_t size = p->p_filesz < p->p_memsz ? p->p_filesz : p->p_memsz;
    if (p->p_offset >= r->core->size && size > 0) {
        r->image->truncated = true;
        size = 0;
    } else if (size > r->core->size - p->p_offset) {
        r->image->truncated = true;
        size = r->core->size - p->p_offset;
    }
    if (size == 0 || !m->readable || (m->executable && !m->writable)) return true;
    struct segment *s =
        joined(r, p, r->image->copy + p->p_offset, m->inode == 0 || !r->core->has_files);
    s->end += size;
    return add_runs(r, s, p->p_vaddr, p->p_offset, size);
}

static bool is_load(const GElf_Phdr *p)
{
    return p->p_type == PT_LOAD && p->p_memsz > 0 && p->p_vaddr + p->p_memsz > p->p_vaddr;
}

/* ---- notes ---------------------------------------------------------------------------------- */

static bool add_thread(struct reading *r, const unsigned char *note, size_t size)
{
    struct image *image = r->image;
    if (size < STATUS_REGISTERS || image->thread_count == THREADS_MAX) return true;
    if (image->thread_count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 64;
        struct image_thread *grown = realloc(image->threads, capacity * sizeof *grown);
        if (!grown) return false;
        image->threads = grown;
        r->capacity = capacity;
    }
    struct image_thread *t = &image->threads[image->thread_count];
    uint32_t tid;
    memcpy(&tid, note + STATUS_PID, sizeof tid);
    t->tid = (pid_t)tid;
    bool taken =
        r->header.e_machine == EM_X86_64
            ? machine_take_x86_64(&t->registers, note + STATUS_REGISTERS, size - STATUS_REGISTERS)
            : machine_take_aarch64(&t->registers, note + STATUS_REGISTERS, size - STATUS_REGISTERS);
    if (taken) image->thread_count++;
    return true;
}

/* Pairs of a key and a value. */
static void take_vector(struct core *core, const unsigned char *note, size_t size)
{
    uint64_t pair[2];
    for (size_t at = 0; at + sizeof pair <= size; at += sizeof pair) {
        memcpy(pair, note + at, sizeof pair);
        if (pair[0] == AT_ENTRY) core->entry = pair[1];
    }
}

static bool take_note(struct reading *r, uint32_t type, const unsigned char *note, size_t size)
{
    struct image *image = r->image;
    switch (type) {
    case NT_PRSTATUS: return add_thread(r, note, size);
    case NT_PRPSINFO:
        if (size >= INFO_NAME + 16) memcpy(r->core->name, note + INFO_NAME, 16);
        return true;
    case NT_AUXV: take_vector(r->core, note, size); return true;
    case NT_FILE:
        r->files = note;
        r->files_size = size;
        return true;
    case NT_ARM_TLS: /* of the thread whose status came before */
        if (r->header.e_machine == EM_AARCH64 && image->thread_count > 0 && size >= 8)
            memcpy(&image->threads[image->thread_count - 1].registers.thread_pointer, note, 8);
        return true;
    default: return true;
    }
}

static bool read_notes(struct reading *r, const GElf_Phdr *p)
{
    if (p->p_filesz == 0 || p->p_offset >= r->core->size) return true;
    uint64_t size = r->core->size - p->p_offset;
    if (size > p->p_filesz) size = p->p_filesz;
    if (size > NOTES_MAX) size = NOTES_MAX;
    Elf_Data *data = elf_getdata_rawchunk(r->elf, (int64_t)p->p_offset, size, ELF_T_NHDR);
    GElf_Nhdr note;
    size_t at = 0, next, name, descriptor;
    while (data && (next = gelf_getnote(data, at, &note, &name, &descriptor)) > 0) {
        const unsigned char *bytes = data->d_buf;
        if (!take_note(r, note.n_type, bytes + descriptor, note.n_descsz)) return false;
        at = next;
    }
    return true;
}

/* One of the note's rows: which mappings are of this file. */
static void name_row(struct reading *r, const uint64_t row[3], uint64_t page, uint64_t file,
                     const char *path)
{
    struct maps *maps = &r->image->maps;
    size_t i = 0, high = maps->count;
    while (i < high) {
        size_t middle = (i + high) / 2;
        if (maps->list[middle].start < row[0])
            i = middle + 1;
        else
            high = middle;
    }
    for (; i < maps->count && maps->list[i].start < row[1]; i++) {
        struct mapping *m = &maps->list[i];
        m->path = path;
        m->inode = file + 1;
        m->offset = row[2] * page + (m->start - row[0]);
    }
}

/* A file's rows follow each other, that of its beginning first. */
static void take_program(struct core *core, const uint64_t row[3], const char *path,
                         const char **last, uint64_t *beginning)
{
    if (!*last || strcmp(*last, path) != 0) *beginning = row[2] == 0 ? row[0] : 0;
    *last = path;
    if (core->entry < row[0] || core->entry >= row[1]) return;
    core->program = path;
    core->beginning = *beginning;
}

/* NT_FILE: | count | page size | (start, end, page of the file) x count | names, each ended by 0 | */
static void name_mappings(struct reading *r)
{
    uint64_t head[2], row[3], beginning = 0;
    if (r->files_size < sizeof head) return;
    memcpy(head, r->files, sizeof head);
    if (head[0] > FILES_MAX || head[0] > (r->files_size - sizeof head) / sizeof row) return;
    size_t names = sizeof head + head[0] * sizeof row;
    r->core->paths = calloc(1, r->files_size - names + 1);
    if (!r->core->paths) return;
    memcpy(r->core->paths, r->files + names, r->files_size - names);
    const char *path = r->core->paths, *end = path + (r->files_size - names), *last = NULL;
    for (uint64_t file = 0; file < head[0] && path < end; file++, path += strlen(path) + 1) {
        memcpy(row, r->files + sizeof head + file * sizeof row, sizeof row);
        name_row(r, row, head[1], file, path);
        take_program(r->core, row, path, &last, &beginning);
        r->core->has_files = true;
    }
}

/* ---- all of it ------------------------------------------------------------------------------ */

static struct mapping mapping_of(const GElf_Phdr *p)
{
    return (struct mapping){
        .start = p->p_vaddr,
        .end = p->p_vaddr + p->p_memsz,
        .readable = p->p_flags & PF_R,
        .writable = p->p_flags & PF_W,
        .executable = p->p_flags & PF_X,
        .path = "",
    };
}

/* The program headers with memory, in the order of their addresses. */
static GElf_Phdr *read_loads(struct reading *r, size_t *count)
{
    size_t all = 0;
    *count = 0;
    if (elf_getphdrnum(r->elf, &all) != 0 || all > SEGMENTS_MAX) return NULL;
    GElf_Phdr *loads = calloc(all + 1, sizeof *loads);
    for (size_t i = 0; loads && i < all; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(r->elf, (int)i, &p)) break;
        if (is_load(&p)) loads[(*count)++] = p;
        if (p.p_type == PT_NOTE && !read_notes(r, &p)) break;
    }
    return loads;
}

static int compare_loads(const void *a, const void *b)
{
    uint64_t x = ((const GElf_Phdr *)a)->p_vaddr, y = ((const GElf_Phdr *)b)->p_vaddr;
    return (x > y) - (x < y);
}

/* Without its note of files nobody knows what is a heap and what is data: all may be either. */
static void assume_files(struct reading *r)
{
    struct maps *maps = &r->image->maps;
    for (size_t i = 0; !r->core->has_files && i < maps->count; i++) maps->list[i].inode = 1;
}

/* What overlaps an earlier one is left out. */
static void take_mappings(struct reading *r, GElf_Phdr *loads, size_t count)
{
    struct maps *maps = &r->image->maps;
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (loads[i].p_vaddr < end) {
            loads[i].p_memsz = 0;
        } else {
            end = loads[i].p_vaddr + loads[i].p_memsz;
            maps->list[maps->count++] = mapping_of(&loads[i]);
        }
    }
}

static bool take_segments(struct reading *r, const GElf_Phdr *loads, size_t count)
{
    size_t m = 0;
    for (size_t i = 0; i < count; i++) {
        if (loads[i].p_memsz > 0 && !add_segment(r, &loads[i], &r->image->maps.list[m++]))
            return false;
    }
    return true;
}

static bool read_all(struct reading *r)
{
    size_t count;
    struct image *image = r->image;
    GElf_Phdr *loads = read_loads(r, &count);
    image->maps.list = calloc(count + 1, sizeof *image->maps.list);
    image->segments = calloc(count + 1, sizeof *image->segments);
    bool done = false;
    if (loads && image->maps.list && image->segments) {
        qsort(loads, count, sizeof *loads, compare_loads);
        take_mappings(r, loads, count);
        name_mappings(r);
        done = take_segments(r, loads, count);
        assume_files(r);
    }
    free(loads);
    return done;
}

bool core_open(struct core *core, struct image *image, const char *path, char why[IMAGE_WHY])
{
    struct reading r = {.core = core, .image = image};
    *core = (struct core){.fd = -1};
    *image = (struct image){.of_core = true};
    if (!map_file(core, image, path, why)) return false;
    bool read = check_header(&r, path, why);
    if (read && !(read = read_all(&r)))
        refuse_core(why, path, "has too many segments, or memory ran out");
    if (read && image->segment_count == 0)
        read = refuse_core(why, path, image->truncated ? cut_off : "holds no memory");
    if (r.elf) elf_end(r.elf);
    return read;
}

void core_finish(struct core *core)
{
    trim_stop(&core->trim);
    if (core->fd >= 0) close(core->fd);
    free(core->paths);
    core->paths = NULL;
    core->fd = -1;
}
