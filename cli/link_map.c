/* Walks the loader's list word by word; garbage ends the walk by a bound or an unreadable word. */
#include <elf.h>
#include <stdlib.h>

#include "link_map.h"

/* Bounds for a list or a section that garbage makes endless. */
enum { MODULES_MAX = 1 << 16, DYNAMIC_MAX = 1 << 10 };

static bool find_debug(const struct memory *m, unsigned width, uint64_t dynamic, uint64_t *debug)
{
    for (unsigned i = 0; i < DYNAMIC_MAX; i++) {
        uint64_t tag, value, at = dynamic + 2ull * width * i;
        if (!memory_word(m, width, at, &tag) || !memory_word(m, width, at + width, &value))
            return false;
        if (tag == DT_DEBUG) {
            *debug = value;
            return value != 0;
        }
        if (tag == DT_NULL) return false;
    }
    return false;
}

static bool append(struct link_list *list, struct link_entry entry)
{
    if ((list->count & (list->count - 1)) == 0) { /* full at each power of two */
        size_t capacity = list->count ? list->count * 2 : 1;
        struct link_entry *grown = realloc(list->entries, capacity * sizeof entry);
        if (!grown) return false;
        list->entries = grown;
    }
    list->entries[list->count++] = entry;
    return true;
}

bool link_list_read(struct link_list *list, const struct memory *memory, unsigned width,
                    uint64_t dynamic)
{
    *list = (struct link_list){0};
    uint64_t debug, at, next;
    if (!find_debug(memory, width, dynamic, &debug) ||
        !memory_word(memory, width, debug + width, &at)) /* r_version is padded to a word */
        return false;
    for (; at != 0; at = next) {
        struct link_entry entry;
        if (list->count == MODULES_MAX || !memory_word(memory, width, at, &entry.bias) ||
            !memory_word(memory, width, at + 2ull * width, &entry.dynamic) ||
            !memory_word(memory, width, at + 3ull * width, &next) || !append(list, entry))
            return false;
    }
    return list->count > 0;
}

void link_list_finish(struct link_list *list)
{
    free(list->entries);
    *list = (struct link_list){0};
}
