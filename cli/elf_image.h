/*
 * An ELF file, or what a process has mapped of one, and the few questions that we ask it.
 *
 * libelf reads and bounds the file; here are the steps that libelf leaves to its caller. All but
 * the full symbol table is found through the program headers and the dynamic section, as ld.so
 * finds it, so that files without section headers and images taken from memory answer too. The
 * files belong to other processes: every number in them may be wrong, and none is believed before
 * it was compared with the size of what holds it.
 */
#ifndef CLI_ELF_IMAGE_H
#define CLI_ELF_IMAGE_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_image {
    Elf *elf; /* NULL: not opened */
    GElf_Ehdr header;
    size_t segments; /* program headers */
    int fd;          /* of a file, owned; else -1 */
    char *memory;    /* of a memory image, owned; else NULL */
    uint64_t start;  /* memory image: where the file's beginning is mapped */
    uint64_t bias;   /* memory image: what ld.so added to the addresses in the dynamic section */

    /* Of the dynamic section; addresses as in the file, 0 if there is none. */
    bool dynamic;
    uint64_t dynamic_address;
    uint64_t symbols, strings, strings_size, hash, gnu_hash, soname;
};

/* Both take over what they are given, also when they fail. False: not an ELF file, or damaged. */
bool elf_image_open(struct elf_image *image, int fd);
bool elf_image_open_memory(struct elf_image *image, char *memory, size_t size, uint64_t start);
bool elf_image_open_path(struct elf_image *image, const char *path);
void elf_image_close(struct elf_image *image);

/* The loader that the program asks for; false if it asks for none. */
bool elf_image_interpreter(const struct elf_image *image, char *name, size_t capacity);

/* Calls `each` with each name of DT_NEEDED, in order; or copies DT_SONAME. */
void elf_image_needed(const struct elf_image *image, void (*each)(void *context, const char *name),
                      void *context);
bool elf_image_soname(const struct elf_image *image, char *name, size_t capacity);

struct elf_symbol {
    const char *name;
    uint64_t value, size;
    bool exported; /* other modules can bind to it */
    bool function;
};

/* Calls `each` with every defined symbol, those of the dynamic table first, then those of the full
 * table if the file still has it, until it returns false. */
void elf_image_symbols(const struct elf_image *image,
                       bool (*each)(void *context, const struct elf_symbol *symbol), void *context);
bool elf_image_has_symbol_table(const struct elf_image *image);

/* The defined symbol of this name; an exported one if there is one. */
bool elf_image_symbol(const struct elf_image *image, const char *name, struct elf_symbol *symbol);

/* The descriptor of the note `name` of `type`: its bytes, as many as fit into `capacity`, and its
 * address as in the file. False if there is none or it is larger than the capacity. */
bool elf_image_note(const struct elf_image *image, const char *name, uint32_t type,
                    void *descriptor, size_t *size, size_t capacity, uint64_t *address);

/* Calls `each` with the file's bytes piece by piece, at most `limit` of them. Each piece begins with
 * the last `overlap` bytes of the one before, so that no text of that length falls into a seam. */
void elf_image_pieces(const struct elf_image *image, size_t limit, size_t overlap,
                      void (*each)(void *context, const char *piece, size_t size), void *context);

/* What is added to the file's addresses in a process that has the file's beginning at `start`. */
uint64_t elf_image_bias(const struct elf_image *image, uint64_t start);

/* "x86-64", "32-bit x86", "ELF machine 243". */
const char *elf_machine_name(const struct elf_image *image, char *text, size_t capacity);

#endif
