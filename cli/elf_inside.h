/* What elf_image.c and elf_symbols.c share: bounded pieces of the file. */
#ifndef CLI_ELF_INSIDE_H
#define CLI_ELF_INSIDE_H

#include "elf_image.h"

/* `size` bytes at an offset of the file, in the byte order of this machine; NULL if the file has
 * not so many. libelf frees it with the image. */
Elf_Data *elf_chunk(const struct elf_image *image, uint64_t offset, uint64_t size, Elf_Type type);

/* The same, at an address as in the file; and where that address lies in the file, with the bytes
 * that its segment has from there on. */
Elf_Data *elf_chunk_at(const struct elf_image *image, uint64_t address, uint64_t size,
                       Elf_Type type);
bool elf_offset_of(const struct elf_image *image, uint64_t address, uint64_t *offset,
                   uint64_t *room);

#endif
