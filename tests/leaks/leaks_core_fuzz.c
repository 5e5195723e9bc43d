/*
 * libFuzzer over core files. The input is put behind a sound header and program headers that the input
 * disturbs, so that it gets as far as notes and heaps; what is found must lie within the file.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cli/core_file.h"
#include "../../cli/groups.h"

enum { HEADERS = 4, BODY = sizeof(Elf64_Ehdr) + HEADERS * sizeof(Elf64_Phdr) };

static uint64_t byte_or(const uint8_t *data, size_t size, size_t at)
{
    return at < size ? data[at] : 0;
}

static void write_headers(unsigned char *file, const uint8_t *data, size_t size)
{
    Elf64_Ehdr header = {.e_type = ET_CORE,
                         .e_machine = EM_X86_64,
                         .e_version = 1,
                         .e_phoff = sizeof header,
                         .e_ehsize = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = HEADERS};
    memcpy(header.e_ident, ELFMAG "\2\1\1", 7);
    memcpy(file, &header, sizeof header);
    for (size_t i = 0; i < HEADERS; i++) {
        uint64_t part = size / HEADERS;
        Elf64_Phdr p = {.p_type = i == 0 ? PT_NOTE : PT_LOAD,
                        .p_flags = PF_R | PF_W,
                        .p_offset = BODY + i * part,
                        .p_filesz = part,
                        .p_memsz = part + byte_or(data, size, i) * 16,
                        .p_vaddr = 0x1000 * (i + 1) + byte_or(data, size, i + 4) * 0x100};
        if (byte_or(data, size, i + 8) > 250)
            p.p_filesz = ~0ull >> byte_or(data, size, i + 12) % 64;
        if (byte_or(data, size, i + 16) > 250)
            p.p_offset = ~0ull >> byte_or(data, size, i + 20) % 64;
        memcpy(file + sizeof header + i * sizeof p, &p, sizeof p);
    }
}

static void check_image(const struct image *image)
{
    unsigned char sum = 0;
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct segment *s = &image->segments[i];
        if (s->start > s->end || (i > 0 && image->segments[i - 1].end > s->start)) abort();
        for (uint64_t at = s->start; at < s->end; at += 64) sum ^= *image_at(image, at, 1);
    }
    for (size_t i = 0; i < image->run_count; i++) {
        if (image->runs[i].start >= image->runs[i].end) abort();
        if (!image_at(image, image->runs[i].start, image->runs[i].end - image->runs[i].start))
            abort();
    }
    __asm__ volatile("" : : "r"(sum)); /* it was read */
    size_t length = 0;
    for (size_t i = 0; i < image->maps.count; i++) length += strlen(image->maps.list[i].path);
    if (length > (size_t)1 << 30) abort();
}

/* As if it told that the program's file begins where its first memory does. */
static void check_program(struct core *core, const struct image *image)
{
    char why[IMAGE_WHY] = "";
    core->program = "program";
    core->beginning = core->entry = image->segments[0].start;
    if (!core_is_of(core, image, "/proc/self/exe", why) && !*why) abort();
}

static void look(const char *path)
{
    struct core core;
    struct image image;
    struct survey s;
    struct groups groups = {0};
    char why[IMAGE_WHY] = "";
    bool opened = core_open(&core, &image, path, why);
    if (!opened && !*why) abort();
    if (opened) {
        check_image(&image);
        if (survey_find(&s, &image) != SURVEY_NONE && survey_mark(&s))
            groups_make(&groups, &s, ~0u);
        groups_finish(&groups);
        survey_finish(&s);
        check_program(&core, &image);
    }
    core_finish(&core);
    image_finish(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    unsigned char *file = calloc(1, BODY + size);
    if (!file) return 0;
    write_headers(file, data, size);
    if (size) memcpy(file + BODY, data, size);
    if (byte_or(data, size, 24) == 255) memcpy(file, data, size < BODY ? size : BODY);
    int fd = memfd_create("core", MFD_CLOEXEC);
    if (write(fd, file, BODY + size) == (ssize_t)(BODY + size)) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        look(path);
    }
    close(fd);
    free(file);
    return 0;
}
