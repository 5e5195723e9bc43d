/* libFuzzer over what check, compare and map read from other processes: smaps, fields, stack pointers, the
 * heap of a process on Freehold; and over amounts and XML. They must take any bytes, and what they say about
 * them must lie within them. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../cli/amount.h"
#include "../../cli/fields.h"
#include "../../cli/heap_describe.h"
#include "../../cli/ledger.h"
#include "../../cli/xml.h"

static void fuzz_smaps(const char *text, size_t size)
{
    struct smaps s = {0};
    for (const char *line = text, *end = text + size; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end;
        smaps_line(&s, line, (size_t)(stop - line));
        line = stop + 1;
    }
    if (s.no_memory || s.name_count > s.count) abort();
    for (size_t i = 0; i < s.count; i++) {
        const struct mapping *m = &s.list[i].mapping;
        if (m->start >= m->end || strlen(m->path) > size) abort();
    }
    smaps_find(&s, size); /* of addresses in any order: must end */
    smaps_finish(&s);
}

static void fuzz_fields(const char *text, size_t size)
{
    static const char *const keys[] = {"VmRSS", "Rss", "", "State"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value;
        uint64_t number;
        ssize_t length = field_find(text, size, keys[i], &value);
        if (length >= 0 && (value < text || value + length > text + size)) abort();
        if (field_number(text, size, keys[i], &number) && length <= 0) abort();
    }
    uint64_t pointer;
    stack_pointer_parse(text, size, &pointer);
}

/* ---- a heap ----------------------------------------------------------------------------------- */

/* Memory of a pretended process: the registry, and then the input, again and again, so that whatever is
 * pointed to is there. Every page of its arena is resident. */
enum { BASE = 0x100000, PAGE = 4096, MEMORY = 4 << 20 };

struct pretended {
    struct fh_registry registry;
    const uint8_t *data;
    size_t size;
};

static bool pretended_read(void *context, uint64_t address, void *to, size_t size)
{
    const struct pretended *p = context;
    uint8_t *bytes = to;
    if (address < BASE || address - BASE > MEMORY || size > MEMORY - (address - BASE)) return false;
    for (size_t i = 0; i < size; i++) {
        uint64_t at = address - BASE + i;
        bytes[i] = at < sizeof p->registry ? ((const uint8_t *)&p->registry)[at]
                                           : p->data[(at - sizeof p->registry) % p->size];
    }
    return true;
}

static int pagemap_of_all(void)
{
    static int fd = -1;
    uint64_t entry = PAGE_ENTRY_PRESENT;
    if (fd >= 0) return fd;
    fd = memfd_create("pagemap", 0);
    for (uint64_t i = 0; i < (BASE + MEMORY) / PAGE; i++) {
        if (pwrite(fd, &entry, sizeof entry, (off_t)(i * sizeof entry)) != sizeof entry) abort();
    }
    return fd;
}

/* What a sound reader demands of the head; all else is the input's. */
static void registry_mend(struct fh_registry *r)
{
    memcpy(r->magic, FH_REGISTRY_MAGIC, sizeof r->magic);
    r->version = FH_REGISTRY_VERSION;
    r->size = sizeof *r;
    r->base = BASE + r->base % MEMORY / PAGE * PAGE;
    r->limit = BASE + MEMORY;
    r->high %= 1 + (r->limit - r->base) / (1 << FH_SLICE_SHIFT);
    r->first_slice %= 1 + r->high;
    r->span_bytes = (uint64_t)r->high * sizeof(struct fh_span);
    r->heap_count %= 8;
    r->heap_stride = sizeof(struct fh_heap) + r->heap_stride % 512;
    r->hard = 0; /* tests/hardened has a fuzzer of its own */
    r->heaps = BASE + r->heaps % MEMORY;
}

static void fuzz_heap(const uint8_t *data, size_t size)
{
    struct pretended p = {.data = data, .size = size};
    struct memory memory = {pretended_read, &p};
    struct pages pages = {.fd = pagemap_of_all(), .page_size = PAGE};
    struct heap_pages h;
    char text[120];
    if (size < sizeof p.registry) return;
    memcpy(&p.registry, data, sizeof p.registry);
    registry_mend(&p.registry);
    if (heap_pages_read(&h, &memory, &pages, BASE) != HEAP_VIEW_READ) return;
    if (heap_pages_sum(&h) != (uint64_t)p.registry.high << FH_SLICE_SHIFT) abort();
    if (h.trim > heap_pages_sum(&h)) abort();
    for (uint64_t at = p.registry.base; at < p.registry.limit; at += 40960 + 24)
        if (!heap_describe(&h.registry, &memory, at, text, sizeof text)) abort();
}

/* An amount that is taken means the same when it is written out. */
static void fuzz_amount(const char *text)
{
    uint64_t bytes, again;
    char plain[32];
    if (!amount_bytes(text, &bytes)) return;
    snprintf(plain, sizeof plain, "%llu", (unsigned long long)bytes);
    if (!amount_bytes(plain, &again) || again != bytes) abort();
    amount_count(text, &again);
}

static void fuzz_xml(const char *text)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&written, &size);
    xml_text(out, text);
    fclose(out);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)written[i] < 0x20 || strchr("<>\"'", written[i])) abort();
    }
    free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_smaps((const char *)data, size);
    fuzz_fields((const char *)data, size);
    fuzz_heap(data, size);
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    fuzz_amount(text);
    fuzz_xml(text);
    free(text);
    return 0;
}
