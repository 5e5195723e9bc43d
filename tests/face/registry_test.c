/*
 * The registry, read from another process by nothing but freehold/registry.h, while that process runs:
 *
 *     registry_test PROGRAM FILE symbol|note
 *
 * FILE is what holds the allocator: the shared library, or the program itself if it is static. The
 * registry is found there once by its dynamic symbol, and once by the ELF note that is left when
 * symbols are stripped. Then everything is arithmetic: the descriptors of all slices, the heaps.
 */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/registry.h>

#include "kit/expect.h"

enum { SMALL = 1000, LARGE = 3 };

/* ---- the process -------------------------------------------------------------------------------------- */

static pid_t target;
static int target_in;
static uintptr_t small_block, large_block;

static void start_target(const char *program)
{
    int in[2], out[2];
    char text[64] = {0};
    EXPECT(pipe(in) == 0 && pipe(out) == 0, "pipe");
    target = fork();
    if (target == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    target_in = in[1];
    EXPECT(read(out[0], text, sizeof text - 1) > 0, "%s says nothing", program);
    void *small, *large;
    EXPECT(sscanf(text, "%p %p", &small, &large) == 2, "%s says %s", program, text);
    small_block = (uintptr_t)small;
    large_block = (uintptr_t)large;
}

static void stop_target(void)
{
    int status;
    close(target_in);
    EXPECT(waitpid(target, &status, 0) == target && status == 0, "status %#x", (unsigned)status);
}

static void peek(uint64_t address, void *to, size_t size)
{
    struct iovec local = {to, size}, remote = {(void *)(uintptr_t)address, size};
    ssize_t n = process_vm_readv(target, &local, 1, &remote, 1, 0);
    EXPECT(n == (ssize_t)size, "%zu bytes at %#llx", size, (unsigned long long)address);
}

/* Where the first page of the file lies in the process. */
static uint64_t load_address(const char *file)
{
    char path[64], line[1000], real[4096];
    EXPECT(realpath(file, real) != NULL, "%s", file);
    snprintf(path, sizeof path, "/proc/%d/maps", target);
    FILE *maps = fopen(path, "r");
    EXPECT(maps != NULL, "%s", path);
    uint64_t address = 0;
    while (address == 0 && fgets(line, sizeof line, maps)) {
        unsigned long long start, offset;
        if (sscanf(line, "%llx-%*x %*s %llx", &start, &offset) != 2 || offset != 0) continue;
        if (strstr(line, real)) address = start;
    }
    fclose(maps);
    EXPECT(address != 0, "%s is not in %s", real, path);
    return address;
}

/* ---- the file ------------------------------------------------------------------------------------------- */

static const char *image;
static const Elf64_Ehdr *header;

static void map_file(const char *file)
{
    struct stat status;
    int fd = open(file, O_RDONLY);
    EXPECT(fd >= 0 && fstat(fd, &status) == 0, "%s", file);
    image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    EXPECT(image != MAP_FAILED, "%s", file);
    close(fd);
    header = (const Elf64_Ehdr *)image;
    EXPECT(memcmp(header->e_ident, ELFMAG, SELFMAG) == 0, "%s is no ELF file", file);
}

static uint64_t find_by_symbol(void)
{
    const Elf64_Shdr *section = (const Elf64_Shdr *)(image + header->e_shoff);
    for (int i = 0; i < header->e_shnum; i++) {
        if (section[i].sh_type != SHT_DYNSYM) continue;
        const Elf64_Sym *symbol = (const Elf64_Sym *)(image + section[i].sh_offset);
        const char *names = image + section[section[i].sh_link].sh_offset;
        for (size_t k = 0; k < section[i].sh_size / sizeof *symbol; k++)
            if (strcmp(names + symbol[k].st_name, "fh_registry") == 0) return symbol[k].st_value;
    }
    EXPECT(false, "no dynamic symbol fh_registry");
    return 0;
}

static uint64_t find_in_segment(const Elf64_Phdr *segment)
{
    size_t step = segment->p_align >= 8 ? 8 : 4;
    const char *at = image + segment->p_offset, *end = at + segment->p_filesz;
    while (at + sizeof(Elf64_Nhdr) < end) {
        const Elf64_Nhdr *note = (const Elf64_Nhdr *)at;
        const char *name = at + sizeof *note;
        const char *descriptor = name + (note->n_namesz + step - 1) / step * step;
        if (note->n_namesz == sizeof FH_NOTE_NAME && strcmp(name, FH_NOTE_NAME) == 0 &&
            note->n_type == FH_NOTE_REGISTRY) {
            struct fh_note facts;
            EXPECT(note->n_descsz == sizeof facts, "%u bytes of descriptor", note->n_descsz);
            memcpy(&facts, descriptor, sizeof facts);
            EXPECT(facts.version == FH_REGISTRY_VERSION, "version %u", facts.version);
            uint64_t field = (uint64_t)(descriptor + offsetof(struct fh_note, offset) - image) -
                             segment->p_offset + segment->p_vaddr;
            return field + (uint64_t)facts.offset;
        }
        at = descriptor + (note->n_descsz + step - 1) / step * step;
    }
    return 0;
}

static uint64_t find_by_note(void)
{
    const Elf64_Phdr *segment = (const Elf64_Phdr *)(image + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++) {
        uint64_t found = segment[i].p_type == PT_NOTE ? find_in_segment(&segment[i]) : 0;
        if (found) return found;
    }
    EXPECT(false, "no note of %s", FH_NOTE_NAME);
    return 0;
}

/* ---- what it says ------------------------------------------------------------------------------------------ */

static void check_registry(const struct fh_registry *r)
{
    EXPECT(memcmp(r->magic, FH_REGISTRY_MAGIC, sizeof r->magic) == 0, "magic %.8s", r->magic);
    EXPECT(r->version == FH_REGISTRY_VERSION && r->size == sizeof *r, "version %u, size %u",
           r->version, r->size);
    EXPECT(r->pid == (uint32_t)target, "pid %u", r->pid);
    EXPECT(r->page_size == (uint32_t)sysconf(_SC_PAGESIZE), "page size %u", r->page_size);
    EXPECT(r->base < r->limit && r->first_slice < r->high, "range");
    EXPECT(r->heap_count >= 1 && r->heap_stride >= sizeof(struct fh_heap), "heaps");
    EXPECT(r->class_size[1] == 16 && r->class_size[FH_CLASSES - 1] > 4096, "classes");
    EXPECT(r->large_count == LARGE && r->large_bytes == 6 << 20, "%llu large blocks of %llu bytes",
           (unsigned long long)r->large_count, (unsigned long long)r->large_bytes);
}

static struct fh_span peek_span(const struct fh_registry *r, uint64_t index)
{
    struct fh_span span;
    peek(r->base + index * sizeof span, &span, sizeof span);
    return span;
}

/* All descriptors: the large blocks, and what slabs hold of the class of 256 bytes. */
static void check_spans(const struct fh_registry *r)
{
    uint64_t large = 0, large_bytes = 0, used = 0;
    for (uint64_t i = r->first_slice; i < r->high; i++) {
        struct fh_span span = peek_span(r, i);
        if (span.kind == FH_SPAN_LARGE) {
            large++;
            large_bytes += span.bytes;
            i += span.slices - 1;
        } else if (span.kind == FH_SPAN_SLAB && r->class_size[span.size_class] == 256) {
            used += span.countdown + (uint32_t)(int32_t)span.rest;
        }
    }
    EXPECT(large == LARGE && large_bytes == 6 << 20, "%llu large blocks",
           (unsigned long long)large);
    EXPECT(used >= SMALL && used < SMALL + 1000, "%llu small blocks", (unsigned long long)used);
}

static void check_blocks(const struct fh_registry *r)
{
    struct fh_span slab = peek_span(r, (small_block - r->base) >> FH_SLICE_SHIFT);
    EXPECT(slab.kind == FH_SPAN_SLAB && r->class_size[slab.size_class] == 256, "kind %d",
           slab.kind);
    EXPECT(slab.owner >= r->heaps && (slab.owner - r->heaps) % r->heap_stride == 0, "owner");
    struct fh_heap heap;
    peek(slab.owner, &heap, sizeof heap);
    EXPECT(heap.state == FH_HEAP_LIVE && heap.thread == (uint32_t)target, "thread %u", heap.thread);
    EXPECT(heap.allocated[slab.size_class] >= SMALL, "allocated");
    struct fh_span large = peek_span(r, (large_block - r->base) >> FH_SLICE_SHIFT);
    EXPECT(large.kind == FH_SPAN_LARGE && large.bytes == 3 << 20, "kind %d", large.kind);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 4, "program, file, symbol or note");
    start_target(argv[1]);
    map_file(argv[2]);
    uint64_t offset = strcmp(argv[3], "note") == 0 ? find_by_note() : find_by_symbol();
    struct fh_registry registry;
    peek(load_address(argv[2]) + offset, &registry, sizeof registry);
    check_registry(&registry);
    check_spans(&registry);
    check_blocks(&registry);
    stop_target();
    printf("%s: registry at +%#llx\n", argv[3], (unsigned long long)offset);
    return 0;
}
