/* Names for the types that groups of blocks begin with: the symbol that covers an address. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demangle.h"
#include "leaks.h"

enum { NAMED_MAX = 64 };

struct nearest {
    uint64_t address; /* as in the file */
    uint64_t best;
    char name[SYMBOL_MAX];
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
    if (nearest.name[0]) {
        demangle_type(nearest.name, g->label, sizeof g->label);
        human_clean(g->label, sizeof g->label, g->label);
    } else {
        snprintf(g->label, sizeof g->label, "%s+0x%llx", clean,
                 (unsigned long long)(g->type - file->bias));
    }
}

/* ---- data ----------------------------------------------------------------------------------- */

struct covering {
    uint64_t address, value; /* as in the file */
    char name[128];
};

static bool take_covering(void *context, const struct elf_symbol *symbol)
{
    struct covering *c = context;
    bool covers = symbol->value <= c->address && c->address - symbol->value < symbol->size;
    if (!covers || symbol->function) return true;
    c->value = symbol->value;
    snprintf(c->name, sizeof c->name, "%s", symbol->name);
    return false;
}

/* Variables that are zero in the file lie behind its mappings. */
static const struct named_file *file_before(const struct leaks *l, uint64_t address)
{
    const struct mapping *m = maps_find(&l->image.maps, address);
    const struct mapping *before = m && m > l->image.maps.list ? m - 1 : NULL;
    bool behind = before && m->inode == 0 && !*m->path && before->end == m->start;
    return behind ? file_at(l, before->end - 1) : NULL;
}

bool leaks_name_data(const struct leaks *l, uint64_t address, char *text, size_t capacity)
{
    const struct named_file *file = file_at(l, address);
    if (!file) file = file_before(l, address);
    if (!file) return false;
    char clean[64], name[128];
    struct covering c = {.address = address - file->bias};
    if (file->image) elf_image_symbols(file->image, take_covering, &c);
    human_clean(clean, sizeof clean, base_name(file->path));
    human_clean(name, sizeof name, c.name);
    if (!name[0])
        snprintf(text, capacity, "%s+0x%llx", clean, (unsigned long long)c.address);
    else if (c.address == c.value)
        snprintf(text, capacity, "%s: %s", clean, name);
    else
        snprintf(text, capacity, "%s: %s+0x%llx", clean, name,
                 (unsigned long long)(c.address - c.value));
    return true;
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
