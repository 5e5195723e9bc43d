/* libFuzzer over the text parsers: maps, control groups, LD_PRELOAD, JSON strings. They must take
 * any bytes, and what they say about them must lie within them. */
#include <stdlib.h>
#include <string.h>

#include "../../cli/cgroup.h"
#include "../../cli/json.h"
#include "../../cli/maps.h"
#include "../../cli/process.h"

static void fuzz_maps(const char *text, size_t size)
{
    struct maps maps;
    if (!maps_parse(&maps, text, size)) abort();
    size_t lengths = 0;
    for (size_t i = 0; i < maps.count; i++) {
        if (maps.list[i].start >= maps.list[i].end) abort();
        if (maps_find(&maps, maps.list[i].start) == NULL) abort();
        lengths += strlen(maps.list[i].path);
    }
    if (lengths > size) abort();
    maps_finish(&maps);
}

static bool check_entry(void *context, const char *entry)
{
    if (strlen(entry) > *(size_t *)context || strpbrk(entry, ": ")) abort();
    return true;
}

static void fuzz_strings(const char *text, size_t size)
{
    char root[64], at[64];
    int version = cgroup_of(text, root, sizeof root);
    if (version < 0 || version > 2) abort();
    cgroup_mount(text, 1, root, at, sizeof at);
    cgroup_mount(text, 2, root, at, sizeof at);
    preload_each(text, check_entry, &size);
}

static void fuzz_json(const char *text)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&written, &size);
    struct json j = json_to(out);
    json_text(&j, NULL, text);
    fclose(out);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)written[i] < 0x20) abort();
    }
    free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_maps((const char *)data, size);
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    fuzz_strings(text, size);
    fuzz_json(text);
    free(text);
    return 0;
}
