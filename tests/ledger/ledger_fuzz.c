/* libFuzzer over the parsers under check, compare and map: smaps, fields, stack pointers, amounts, XML.
 * They must take any bytes, and what they say about them must lie within them. */
#include <stdlib.h>
#include <string.h>

#include "../../cli/amount.h"
#include "../../cli/fields.h"
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
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    fuzz_amount(text);
    fuzz_xml(text);
    free(text);
    return 0;
}
