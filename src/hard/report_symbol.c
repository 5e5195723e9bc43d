/*
 * report: the function that an address of a module is in, from the symbols of its file: .symtab, or of a stripped one
 * .dynsym. The file is read, in pieces, and not mapped: what changes under us cannot fault. Nothing in it is
 * believed. Lines of sources are left to addr2line.
 */
#include <elf.h>
#include <fcntl.h>
#include <string.h>

#include "base/syscall.h"
#include "hard/report.h"

enum { PIECE = 32 << 10, SECTIONS_MOST = 4096 };

/* One report at a time. */
static struct {
    char path[256]; /* of the module that is open */
    long fd;
    Elf64_Shdr symbols, names;
    union {
        char bytes[PIECE];
        Elf64_Sym symbol[PIECE / sizeof(Elf64_Sym)];
        Elf64_Shdr section[PIECE / sizeof(Elf64_Shdr)];
    } piece;
} module_file = {.fd = -1};

static bool file_read(uint64_t offset, void *to, size_t size)
{
    return SYS4(SYS_pread64, module_file.fd, to, size, offset) == (long)size;
}

static bool section_at(const Elf64_Ehdr *head, unsigned i, Elf64_Shdr *section)
{
    return i < head->e_shnum &&
           file_read(head->e_shoff + i * sizeof *section, section, sizeof *section);
}

/* The full table if there is one. */
static bool symbols_find(const Elf64_Ehdr *head)
{
    Elf64_Shdr section;
    bool found = false;
    for (unsigned i = 0; i < head->e_shnum && i < SECTIONS_MOST; i++) {
        if (!section_at(head, i, &section)) return false;
        if (section.sh_type != SHT_SYMTAB && (section.sh_type != SHT_DYNSYM || found)) continue;
        if (!section_at(head, section.sh_link, &module_file.names)) continue;
        module_file.symbols = section;
        found = true;
        if (section.sh_type == SHT_SYMTAB) return true;
    }
    return found;
}

static void module_close(void)
{
    if (module_file.fd >= 0) SYS1(SYS_close, module_file.fd);
    module_file.fd = -1;
    module_file.path[0] = 0;
}

static bool module_open(const char *path)
{
    Elf64_Ehdr head;
    if (path[0] != '/' || strlen(path) >= sizeof module_file.path) return false; /* [vdso] */
    if (strcmp(path, module_file.path) == 0) return module_file.symbols.sh_size > 0;
    module_close();
    memcpy(module_file.path, path, strlen(path) + 1);
    module_file.symbols.sh_size = 0;
    module_file.fd =
        SYS4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (base_syscall_failed(module_file.fd)) return false;
    bool right = file_read(0, &head, sizeof head) && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 &&
                 head.e_ident[EI_CLASS] == ELFCLASS64 && head.e_shentsize == sizeof(Elf64_Shdr);
    if (!right || !symbols_find(&head)) module_file.symbols.sh_size = 0;
    return module_file.symbols.sh_size > 0;
}

static bool symbol_holds(const Elf64_Sym *symbol, uintptr_t address)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol->st_shndx != SHN_UNDEF &&
           address - symbol->st_value < symbol->st_size;
}

static bool symbol_find(uintptr_t address, Elf64_Sym *found)
{
    const Elf64_Shdr *table = &module_file.symbols;
    const size_t most = sizeof module_file.piece.symbol / sizeof *found;
    for (uint64_t i = 0, count = table->sh_size / sizeof *found; i < count; i += most) {
        size_t n = count - i < most ? count - i : most;
        if (!file_read(table->sh_offset + i * sizeof *found, module_file.piece.symbol,
                       n * sizeof *found))
            return false;
        for (size_t k = 0; k < n; k++)
            if (symbol_holds(&module_file.piece.symbol[k], address)) {
                *found = module_file.piece.symbol[k];
                return true;
            }
    }
    return false;
}

size_t report_symbol(const char *path, uintptr_t address, char *name, size_t capacity)
{
    Elf64_Sym symbol;
    name[0] = 0;
    if (report_config.confined || !module_open(path) || !symbol_find(address, &symbol)) return 0;
    long n = SYS4(SYS_pread64, module_file.fd, name, capacity - 1,
                  module_file.names.sh_offset + symbol.st_name);
    name[n > 0 ? n : 0] = 0;
    return address - symbol.st_value;
}

void report_symbols_close(void)
{
    module_close();
}
