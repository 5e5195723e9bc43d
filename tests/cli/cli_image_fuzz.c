/* libFuzzer over what is read from another process: its first byte chooses whether the rest is an ELF
 * image, or memory that holds the loader's list or a registry. */
#include <stdlib.h>
#include <string.h>

#include "../../cli/allocators.h"
#include "../../cli/heap_view.h"
#include "../../cli/link_map.h"

enum { BASE = 0x1000 };

struct bytes {
    const uint8_t *data;
    size_t size;
};

static bool read_bytes(void *context, uint64_t address, void *to, size_t size)
{
    const struct bytes *b = context;
    if (address < BASE || address - BASE > b->size || size > b->size - (address - BASE))
        return false;
    memcpy(to, b->data + (address - BASE), size);
    return true;
}

static void ignore_name(void *context, const char *name)
{
    *(size_t *)context += strlen(name);
}

static void fuzz_elf(const uint8_t *data, size_t size)
{
    struct elf_image image;
    struct allocator_signs signs;
    char text[64];
    size_t sum = 0;
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    if (!elf_image_open_memory(&image, copy, size, 0x400000)) return;
    elf_image_interpreter(&image, text, sizeof text);
    elf_image_needed(&image, ignore_name, &sum);
    allocator_signs_read(&signs, &image, "");
    elf_image_close(&image);
}

static void fuzz_loader(struct memory *memory, unsigned width)
{
    struct link_list list;
    link_list_read(&list, memory, width, BASE);
    link_list_finish(&list);
}

static void fuzz_heap(struct memory *memory)
{
    struct heap_view view;
    heap_view_read(&view, memory, BASE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct bytes bytes = {data + 1, size - 1};
    struct memory memory = {read_bytes, &bytes};
    switch (data[0] % 4) {
    case 0: fuzz_elf(data + 1, size - 1); break;
    case 1: fuzz_loader(&memory, 8); break;
    case 2: fuzz_loader(&memory, 4); break;
    default: fuzz_heap(&memory); break;
    }
    return 0;
}
