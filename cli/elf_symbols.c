/*
 * The symbols of an ELF image.
 *
 * The dynamic table has no length of its own: ld.so never asks for one, it looks names up through
 * a hash table. So the length is taken from that table: DT_HASH says it outright; in DT_GNU_HASH
 * the last symbol is the end of the chain that starts furthest back.
 */
#include <string.h>

#include "elf_inside.h"

/* 32-bit words at an address, or NULL. */
static const uint32_t *words_at(const struct elf_image *image, uint64_t address, uint64_t count)
{
    Elf_Data *data = elf_chunk_at(image, address, count * 4, ELF_T_WORD);
    return data ? data->d_buf : NULL;
}

static size_t count_by_hash(const struct elf_image *image)
{
    const uint32_t *head = words_at(image, image->hash, 2);
    return head ? head[1] : 0;
}

/*
 *     | buckets | first symbol | bloom words | shift | bloom ... | bucket ... | chain ... |
 *
 * A chain's word belongs to the symbol `first + index`; its lowest bit marks the end of the chain.
 */
static size_t count_by_gnu_hash(const struct elf_image *image)
{
    const uint32_t *head = words_at(image, image->gnu_hash, 4);
    if (!head) return 0;
    uint32_t bucket_count = head[0], first = head[1], last = 0;
    uint64_t bloom_bytes = head[2] * (image->header.e_ident[EI_CLASS] == ELFCLASS64 ? 8ull : 4ull);
    uint64_t buckets_at = image->gnu_hash + 16 + bloom_bytes;
    const uint32_t *buckets = words_at(image, buckets_at, bucket_count);
    if (!buckets) return 0;
    for (uint32_t i = 0; i < bucket_count; i++) {
        if (buckets[i] > last) last = buckets[i];
    }
    if (last < first || last == 0) return first;
    uint64_t chains_at = buckets_at + 4ull * bucket_count, offset, room;
    uint64_t chain_at = chains_at + 4ull * (last - first);
    if (!elf_offset_of(image, chain_at, &offset, &room)) return 0;
    const uint32_t *chain = words_at(image, chain_at, room / 4);
    for (uint64_t i = 0; chain && i < room / 4; i++) {
        if (chain[i] & 1) return last + i + 1;
    }
    return 0;
}

struct table {
    Elf_Data *symbols;
    const char *names;
    size_t names_size;
    size_t count;
    bool dynamic;
};

static struct table dynamic_table(const struct elf_image *image)
{
    struct table t = {.dynamic = true};
    if (!image->symbols || !image->strings) return t;
    t.count = image->hash ? count_by_hash(image) : count_by_gnu_hash(image);
    size_t entry = gelf_fsize(image->elf, ELF_T_SYM, 1, EV_CURRENT);
    Elf_Data *names = elf_chunk_at(image, image->strings, image->strings_size, ELF_T_BYTE);
    t.symbols = elf_chunk_at(image, image->symbols, t.count * entry, ELF_T_SYM);
    if (!names || !t.symbols) return (struct table){0};
    t.names = names->d_buf;
    t.names_size = names->d_size;
    return t;
}

static Elf_Scn *find_symbol_section(const struct elf_image *image, GElf_Shdr *header)
{
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(image->elf, section))) {
        if (gelf_getshdr(section, header) && header->sh_type == SHT_SYMTAB && header->sh_entsize)
            return section;
    }
    return NULL;
}

static struct table full_table(const struct elf_image *image)
{
    struct table t = {0};
    GElf_Shdr header;
    Elf_Scn *section = find_symbol_section(image, &header);
    Elf_Scn *strings = section ? elf_getscn(image->elf, header.sh_link) : NULL;
    Elf_Data *names = strings ? elf_getdata(strings, NULL) : NULL;
    Elf_Data *symbols = section ? elf_getdata(section, NULL) : NULL;
    if (!names || !symbols || !names->d_buf || !symbols->d_buf) return t;
    t.symbols = symbols;
    t.count = symbols->d_size / header.sh_entsize;
    t.names = names->d_buf;
    t.names_size = names->d_size;
    return t;
}

static bool is_exported(const struct table *t, const GElf_Sym *symbol)
{
    unsigned visibility = GELF_ST_VISIBILITY(symbol->st_other);
    return t->dynamic && GELF_ST_BIND(symbol->st_info) != STB_LOCAL &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

static bool is_function(const GElf_Sym *symbol)
{
    unsigned type = GELF_ST_TYPE(symbol->st_info);
    return type == STT_FUNC || type == STT_GNU_IFUNC;
}

/* False when `each` had enough. */
static bool visit_table(const struct table *t, bool (*each)(void *, const struct elf_symbol *),
                        void *context)
{
    for (size_t i = 1; t->symbols && i < t->count && i < INT32_MAX; i++) {
        GElf_Sym symbol;
        if (!gelf_getsym(t->symbols, (int)i, &symbol)) break;
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_name >= t->names_size) continue;
        const char *name = t->names + symbol.st_name;
        if (!*name || !memchr(name, 0, t->names_size - symbol.st_name)) continue;
        struct elf_symbol found = {name, symbol.st_value, symbol.st_size, is_exported(t, &symbol),
                                   is_function(&symbol)};
        if (!each(context, &found)) return false;
    }
    return true;
}

void elf_image_symbols(const struct elf_image *image,
                       bool (*each)(void *context, const struct elf_symbol *symbol), void *context)
{
    struct table dynamic = dynamic_table(image), full = {0};
    if (!visit_table(&dynamic, each, context)) return;
    full = full_table(image);
    visit_table(&full, each, context);
}

bool elf_image_has_symbol_table(const struct elf_image *image)
{
    GElf_Shdr header;
    return find_symbol_section(image, &header) != NULL;
}

struct wanted {
    const char *name;
    struct elf_symbol *symbol;
    bool found;
};

static bool match_name(void *context, const struct elf_symbol *symbol)
{
    struct wanted *wanted = context;
    if (strcmp(symbol->name, wanted->name) != 0) return true;
    *wanted->symbol = *symbol;
    wanted->found = true;
    return !symbol->exported;
}

bool elf_image_symbol(const struct elf_image *image, const char *name, struct elf_symbol *symbol)
{
    struct wanted wanted = {name, symbol, false};
    elf_image_symbols(image, match_name, &wanted);
    return wanted.found;
}
