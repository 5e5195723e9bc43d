/* Names for the types that groups of blocks begin with: the symbol that covers an address. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaks.h"

enum { NAMED_MAX = 64 };

struct nearest {
    uint64_t address; /* as in the file */
    uint64_t best;
    char name[256];
};

static bool take_nearer(void *context, const struct elf_symbol *symbol)
{
    struct nearest *n = context;
    if (symbol->value > n->address || symbol->value < n->best) return true;
    if (symbol->size > 0 && n->address - symbol->value >= symbol->size) return true;
    n->best = symbol->value;
    snprintf(n->name, sizeof n->name, "%s", symbol->name);
    return true;
}

/* The parts of a C++ name, "N3net7SessionE" or "7Session", joined by "::"; false if it is more than that. */
static bool plain_name(const char *mangled, char *to, size_t capacity)
{
    size_t at = 0;
    bool nested = *mangled == 'N';
    mangled += nested;
    while (*mangled >= '1' && *mangled <= '9') {
        char *rest;
        unsigned long length = strtoul(mangled, &rest, 10);
        if (strlen(rest) < length || at + length + 3 > capacity) return false;
        if (at > 0) at += (size_t)sprintf(to + at, "::");
        memcpy(to + at, rest, length);
        at += length;
        to[at] = 0;
        mangled = rest + length;
    }
    return at > 0 && strcmp(mangled, nested ? "E" : "") == 0;
}

static void name_symbol(const struct nearest *n, char *label, size_t capacity)
{
    char plain[80];
    if (strncmp(n->name, "_ZTV", 4) == 0 && plain_name(n->name + 4, plain, sizeof plain))
        snprintf(label, capacity, "%s", plain);
    else
        snprintf(label, capacity, "%.*s", (int)capacity - 1, n->name);
}

static const struct named_file *file_at(const struct leaks *l, uint64_t address)
{
    for (size_t i = 0; i < l->file_count; i++) {
        if (address >= l->files[i].start && address < l->files[i].end) return &l->files[i];
    }
    return NULL;
}

static void name_group(const struct leaks *l, struct group *g)
{
    const struct named_file *file = file_at(l, g->type);
    if (!file) return;
    struct nearest nearest = {.address = g->type - file->bias};
    if (file->image) elf_image_symbols(file->image, take_nearer, &nearest);
    char clean[64];
    human_clean(clean, sizeof clean, base_name(file->path));
    if (nearest.name[0])
        name_symbol(&nearest, g->label, sizeof g->label);
    else
        snprintf(g->label, sizeof g->label, "%s+0x%llx", clean,
                 (unsigned long long)(g->type - file->bias));
}

/* A search goes through all symbols of a file: the largest groups only. */
void leaks_name_groups(struct leaks *l)
{
    size_t named = 0;
    for (size_t i = 0; i < l->groups.count && named < NAMED_MAX; i++) {
        if (l->groups.list[i].content != CONTENT_TYPE) continue;
        name_group(l, &l->groups.list[i]);
        named++;
    }
}
