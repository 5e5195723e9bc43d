/*
 * libFuzzer over what is read of the hardened library in other processes: a sound heap whose words the input
 * overwrites, walked, described, divided by pages; and a report as it might stand in the file.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cli/hardened.h"
#include "../../cli/heap_pages.h"
#include "made_hard.h"

static struct made_hard made;

static bool see_slab(void *context, const struct hard_slab *slab)
{
    const struct fh_hard *f = context;
    uint64_t bytes = (uint64_t)1 << slab->region->slab_shift;
    if (slab->start < f->base || slab->start + bytes > f->base + f->bytes) abort();
    if ((uint64_t)slab->carved * slab->region->size > bytes || !slab->words) abort();
    for (uint32_t i = 0; i < slab->carved; i++)
        if (hard_slot_asked(slab->region, slab->words[i]) > slab->region->size) abort();
    return true;
}

static bool see_large(void *context, uint64_t slot, uint64_t bytes,
                      const struct fh_hard_large *large)
{
    const struct fh_hard *f = context;
    if (slot < f->base || slot + bytes > f->base + f->bytes) abort();
    if (large->start < slot || large->size > bytes || large->start + large->size > slot + bytes)
        abort();
    return true;
}

static bool see_sample(void *context, const struct fh_hard_sample *s)
{
    const struct fh_hard *f = context;
    if (s->start < f->sample_base || s->start + s->size > f->sample_base + f->sample_bytes) abort();
    return true;
}

/* Pieces of 8 bytes: where in the tables or the meta data, and what comes there. */
static void disturb(const uint8_t *data, size_t size)
{
    for (; size >= 8; data += 8, size -= 8) {
        uint32_t where, value;
        memcpy(&where, data, 4);
        memcpy(&value, data + 4, 4);
        unsigned char *area = where & 1 ? (unsigned char *)&made.tables : made.meta;
        size_t room = where & 1 ? sizeof made.tables : sizeof made.meta;
        size_t width = (size_t)1 << (where >> 1 & 3) >> 1, at = (where >> 3) % (room - 8);
        memcpy(area + at, &value, width ? width : 1);
    }
}

/* All pages are there that its page table has room for. */
static void divide(void)
{
    static struct pages pages = {.fd = -1, .page_size = 4096};
    struct heap_pages h = {.registry = {.hard = MADE_TABLES}};
    if (pages.fd < 0) {
        uint64_t entries[512];
        off_t first = MADE_BASE / 4096 * 8;
        pages.fd = memfd_create("pagemap", 0);
        for (size_t i = 0; i < 512; i++) entries[i] = PAGE_ENTRY_PRESENT;
        if (pwrite(pages.fd, entries, sizeof entries, first) != sizeof entries) abort();
        if (ftruncate(pages.fd, (off_t)1 << 40) != 0) abort();
    }
    hard_pages_add(&h, &made.memory, &pages);
    if (h.live + h.lists + h.quarantine + h.partly + h.spans > (uint64_t)1 << 46) abort();
}

static void fuzz_heap(const uint8_t *data, size_t size)
{
    struct hard_heap h;
    char text[200];
    made_hard(&made);
    disturb(data, size);
    if (hard_heap_read(&h, &made.memory, MADE_TABLES)) {
        const struct hard_visitor visitor = {see_slab, see_large, see_sample, true, &h.hard};
        hard_heap_walk(&h, &visitor);
        for (uint64_t at = 0; at < (uint64_t)MADE_CHUNKS << MADE_CHUNK_SHIFT; at += 40961)
            hard_heap_describe(&h, MADE_BASE + at, text, sizeof text);
        hard_heap_describe(&h, MADE_SAMPLED + 0x8f00, text, sizeof text);
    }
    hard_heap_finish(&h);
    divide();
}

static void fuzz_report(const uint8_t *data, size_t size)
{
    static const struct palette plain = {"", "", "", "", "", ""};
    char *line = malloc(size + 1), *text = NULL;
    size_t written;
    memcpy(line, data, size);
    line[size] = 0;
    FILE *out = open_memstream(&text, &written);
    hardened_show_one(line, size, out, &plain);
    fclose(out);
    for (size_t i = 0; i < written; i++)
        if ((unsigned char)text[i] < 0x20 && text[i] != '\n') abort();
    free(text);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    (data[0] & 1 ? fuzz_heap : fuzz_report)(data + 1, size - 1);
    return 0;
}
