/* Opening an ELF file, its segments, its dynamic section, its notes. Symbols: elf_symbols.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_inside.h"

/* More than any table that ld.so reads; stops a sparse file from having us allocate its length. */
#define CHUNK_MAX ((uint64_t)256 << 20)

Elf_Data *elf_chunk(const struct elf_image *image, uint64_t offset, uint64_t size, Elf_Type type)
{
    if (size == 0 || size > CHUNK_MAX || offset > INT64_MAX) return NULL;
    return elf_getdata_rawchunk(image->elf, (int64_t)offset, size, type);
}

bool elf_offset_of(const struct elf_image *image, uint64_t address, uint64_t *offset,
                   uint64_t *room)
{
    for (size_t i = 0; i < image->segments; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(image->elf, (int)i, &segment) || segment.p_type != PT_LOAD) continue;
        if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz) continue;
        uint64_t inside = address - segment.p_vaddr;
        *room = segment.p_filesz - inside;
        return !__builtin_add_overflow(segment.p_offset, inside, offset);
    }
    return false;
}

Elf_Data *elf_chunk_at(const struct elf_image *image, uint64_t address, uint64_t size,
                       Elf_Type type)
{
    uint64_t offset, room;
    if (!elf_offset_of(image, address, &offset, &room) || size > room) return NULL;
    return elf_chunk(image, offset, size, type);
}

static bool find_segment(const struct elf_image *image, uint32_t type, size_t *from,
                         GElf_Phdr *segment)
{
    for (size_t i = *from; i < image->segments; i++) {
        if (gelf_getphdr(image->elf, (int)i, segment) && segment->p_type == type) {
            *from = i + 1;
            return true;
        }
    }
    return false;
}

/* ld.so leaves absolute addresses in the dynamic section of a process. */
static uint64_t unbiased(const struct elf_image *image, uint64_t address)
{
    return address >= image->bias ? address - image->bias : address;
}

static void dynamic_entry(struct elf_image *image, const GElf_Dyn *entry)
{
    uint64_t value = entry->d_un.d_val;
    switch (entry->d_tag) {
    case DT_SYMTAB: image->symbols = unbiased(image, value); break;
    case DT_STRTAB: image->strings = unbiased(image, value); break;
    case DT_HASH: image->hash = unbiased(image, value); break;
    case DT_GNU_HASH: image->gnu_hash = unbiased(image, value); break;
    case DT_STRSZ: image->strings_size = value; break;
    case DT_SONAME: image->soname = value; break;
    default: break;
    }
}

static Elf_Data *dynamic_section(const struct elf_image *image, uint64_t *address)
{
    GElf_Phdr segment;
    size_t from = 0;
    if (!find_segment(image, PT_DYNAMIC, &from, &segment)) return NULL;
    *address = segment.p_vaddr;
    return elf_chunk(image, segment.p_offset, segment.p_filesz, ELF_T_DYN);
}

static void read_dynamic(struct elf_image *image)
{
    Elf_Data *data = dynamic_section(image, &image->dynamic_address);
    GElf_Dyn entry;
    for (int i = 0; data && gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; i++)
        dynamic_entry(image, &entry);
    image->dynamic = data != NULL;
}

static bool read_header(struct elf_image *image)
{
    if (!image->elf || elf_kind(image->elf) != ELF_K_ELF ||
        !gelf_getehdr(image->elf, &image->header))
        return false;
    if (elf_getphdrnum(image->elf, &image->segments) != 0) image->segments = 0;
    if (image->segments > 65535) return false;
    if (image->memory) image->bias = elf_image_bias(image, image->start);
    read_dynamic(image);
    return true;
}

bool elf_image_open(struct elf_image *image, int fd)
{
    *image = (struct elf_image){.fd = fd};
    elf_version(EV_CURRENT);
    /* Not ELF_C_READ_MMAP: another process may cut the file while it is mapped here. */
    image->elf = elf_begin(fd, ELF_C_READ, NULL);
    if (read_header(image)) return true;
    elf_image_close(image);
    return false;
}

/* Section headers lie behind everything that is loaded, so that in a memory image their offset
 * points at something else. */
static void forget_sections(char *memory)
{
    if (memory[EI_CLASS] == ELFCLASS64) {
        Elf64_Ehdr *header = (Elf64_Ehdr *)memory;
        header->e_shoff = 0;
        header->e_shnum = header->e_shstrndx = 0;
    } else {
        Elf32_Ehdr *header = (Elf32_Ehdr *)memory;
        header->e_shoff = 0;
        header->e_shnum = header->e_shstrndx = 0;
    }
}

bool elf_image_open_memory(struct elf_image *image, char *memory, size_t size, uint64_t start)
{
    *image = (struct elf_image){.fd = -1, .memory = memory, .start = start};
    elf_version(EV_CURRENT);
    if (size >= sizeof(Elf64_Ehdr) && memcmp(memory, ELFMAG, SELFMAG) == 0) {
        forget_sections(memory);
        image->elf = elf_memory(memory, size);
    }
    if (read_header(image)) return true;
    elf_image_close(image);
    return false;
}

bool elf_image_open_path(struct elf_image *image, const char *path)
{
    *image = (struct elf_image){.fd = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0) return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) return elf_image_open(image, fd);
    close(fd);
    errno = EINVAL;
    return false;
}

void elf_image_close(struct elf_image *image)
{
    if (image->elf) elf_end(image->elf);
    if (image->fd >= 0) close(image->fd);
    free(image->memory);
    *image = (struct elf_image){.fd = -1};
}

/* Copies a string that must end inside the data; false if it does not or does not fit. */
static bool copy_string(const Elf_Data *data, uint64_t at, char *to, size_t capacity)
{
    if (!data || at >= data->d_size) return false;
    const char *from = (const char *)data->d_buf + at;
    size_t length = strnlen(from, data->d_size - at);
    if (length == data->d_size - at || length >= capacity) return false;
    memcpy(to, from, length + 1);
    return true;
}

bool elf_image_interpreter(const struct elf_image *image, char *name, size_t capacity)
{
    GElf_Phdr segment;
    size_t from = 0;
    if (!find_segment(image, PT_INTERP, &from, &segment)) return false;
    Elf_Data *data = elf_chunk(image, segment.p_offset, segment.p_filesz, ELF_T_BYTE);
    return copy_string(data, 0, name, capacity);
}

static Elf_Data *string_table(const struct elf_image *image)
{
    return image->strings ? elf_chunk_at(image, image->strings, image->strings_size, ELF_T_BYTE)
                          : NULL;
}

void elf_image_needed(const struct elf_image *image, void (*each)(void *context, const char *name),
                      void *context)
{
    uint64_t address;
    Elf_Data *data = dynamic_section(image, &address), *strings = string_table(image);
    GElf_Dyn entry;
    char name[4096];
    for (int i = 0; data && gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; i++) {
        if (entry.d_tag == DT_NEEDED && copy_string(strings, entry.d_un.d_val, name, sizeof name))
            each(context, name);
    }
}

bool elf_image_soname(const struct elf_image *image, char *name, size_t capacity)
{
    return image->soname && copy_string(string_table(image), image->soname, name, capacity);
}

/* ---- notes ---------------------------------------------------------------------------------- */

struct note_wanted {
    const char *name;
    uint32_t type;
    void *descriptor;
    size_t capacity;
};

/* Looks through the notes of one segment; *size and *inside tell of the descriptor found. */
static bool find_note(const struct note_wanted *wanted, Elf_Data *data, size_t *size,
                      size_t *inside)
{
    GElf_Nhdr note;
    size_t at = 0, next, name, descriptor, length = strlen(wanted->name) + 1;
    while ((next = gelf_getnote(data, at, &note, &name, &descriptor)) > 0) {
        const char *bytes = data->d_buf;
        if (note.n_type == wanted->type && note.n_namesz == length &&
            memcmp(bytes + name, wanted->name, length) == 0 && note.n_descsz <= wanted->capacity) {
            memcpy(wanted->descriptor, bytes + descriptor, note.n_descsz);
            *size = note.n_descsz;
            *inside = descriptor;
            return true;
        }
        at = next;
    }
    return false;
}

bool elf_image_note(const struct elf_image *image, const char *name, uint32_t type,
                    void *descriptor, size_t *size, size_t capacity, uint64_t *address)
{
    struct note_wanted wanted = {name, type, descriptor, capacity};
    GElf_Phdr segment;
    size_t from = 0, inside;
    while (find_segment(image, PT_NOTE, &from, &segment)) {
        Elf_Type layout = segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR;
        Elf_Data *data = elf_chunk(image, segment.p_offset, segment.p_filesz, layout);
        if (data && find_note(&wanted, data, size, &inside)) {
            *address = segment.p_vaddr + inside;
            return true;
        }
    }
    return false;
}

/* ---- the rest ------------------------------------------------------------------------------- */

uint64_t elf_image_bias(const struct elf_image *image, uint64_t start)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    GElf_Phdr segment;
    size_t from = 0;
    if (!find_segment(image, PT_LOAD, &from, &segment)) return 0;
    return start - (segment.p_vaddr & ~(page - 1)) + (segment.p_offset & ~(page - 1));
}

void elf_image_pieces(const struct elf_image *image, size_t limit, size_t overlap,
                      void (*each)(void *context, const char *piece, size_t size), void *context)
{
    enum { PIECE = 1 << 18 };
    char *piece = image->fd < 0 ? NULL : malloc(PIECE);
    for (size_t at = 0; piece && at < limit; at += PIECE - overlap) {
        ssize_t n = pread(image->fd, piece, PIECE, (off_t)at);
        if (n <= 0) break;
        each(context, piece, (size_t)n);
    }
    free(piece);
}

const char *elf_machine_name(const struct elf_image *image, char *text, size_t capacity)
{
    static const struct {
        unsigned machine, class;
        const char *name;
    } names[] = {
        {EM_X86_64, ELFCLASS64, "x86-64"},        {EM_X86_64, ELFCLASS32, "x32"},
        {EM_386, ELFCLASS32, "32-bit x86"},       {EM_AARCH64, ELFCLASS64, "64-bit Arm"},
        {EM_ARM, ELFCLASS32, "32-bit Arm"},       {EM_RISCV, ELFCLASS64, "64-bit RISC-V"},
        {EM_PPC64, ELFCLASS64, "64-bit PowerPC"}, {EM_S390, ELFCLASS64, "s390x"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (image->header.e_machine == names[i].machine &&
            image->header.e_ident[EI_CLASS] == names[i].class)
            return names[i].name;
    }
    snprintf(text, capacity, "ELF machine %u", image->header.e_machine);
    return text;
}
