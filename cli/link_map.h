/*
 * The loader's own list of modules, read from the memory of the process: the order in which names
 * such as `malloc` are looked up. It is what debuggers read (struct r_debug of <link.h>); its form
 * is the same in glibc and musl, with pointers of 4 or 8 bytes.
 *
 *     executable's dynamic section: DT_DEBUG -> r_debug { version, map -> link_map ... }
 *     link_map { addr (bias), name, ld (dynamic section), next, prev }
 */
#ifndef CLI_LINK_MAP_H
#define CLI_LINK_MAP_H

#include "memory.h"

struct link_entry {
    uint64_t bias;
    uint64_t dynamic; /* address of the module's dynamic section: tells which module it is */
};

struct link_list {
    struct link_entry *entries;
    size_t count;
};

/* Follows the list from the executable's dynamic section at `dynamic`. False if it cannot be read,
 * is not set up yet, or does not end. link_list_finish in any case. */
bool link_list_read(struct link_list *list, const struct memory *memory, unsigned width,
                    uint64_t dynamic);
void link_list_finish(struct link_list *list);

#endif
