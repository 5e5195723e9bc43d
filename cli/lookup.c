/* The order in which the loader looks names up: see process.h. */
#include <stdlib.h>
#include <string.h>

#include "link_map.h"
#include "process_inside.h"

/* The modules in their new order, while it is being made. */
struct order {
    struct process *p;
    size_t *list;
    size_t count;
};

static void place(struct order *o, struct module *m)
{
    if (!m || m->placed) return;
    m->placed = true;
    o->list[o->count++] = (size_t)(m - o->p->modules);
}

static struct module *module_at(const struct process *p, uint64_t address)
{
    for (size_t i = 0; i < p->module_count; i++) {
        if (address >= p->modules[i].start && address < p->modules[i].end) return &p->modules[i];
    }
    return NULL;
}

static bool place_by_loader(struct order *o)
{
    struct module *program = process_executable(o->p);
    if (!program || program->source == MODULE_UNREAD || !program->image.dynamic) return false;
    unsigned width = program->image.header.e_ident[EI_CLASS] == ELFCLASS32 ? 4 : 8;
    struct link_list list;
    bool read =
        link_list_read(&list, &o->p->memory, width, program->bias + program->image.dynamic_address);
    for (size_t i = 0; read && i < list.count; i++)
        place(o, module_at(o->p, list.entries[i].dynamic));
    link_list_finish(&list);
    return read;
}

static bool place_preloaded(void *context, const char *entry)
{
    struct order *o = context;
    place(o, process_module(o->p, entry));
    return true;
}

static void place_needed(void *context, const char *name)
{
    struct order *o = context;
    place(o, process_module(o->p, name));
}

/* The file that root may use to preload into every program; separated by white space. */
static void place_system_preloaded(struct order *o)
{
    char path[4200];
    struct file_text text;
    process_path(o->p, "/etc/ld.so.preload", path, sizeof path);
    if (!file_read(&text, path, 1 << 16)) return;
    for (size_t i = 0; i < text.size; i++) {
        if (strchr("\n\t", text.data[i])) text.data[i] = ' ';
    }
    preload_each(text.data, place_preloaded, o);
    free(text.data);
}

static void place_by_rule(struct order *o)
{
    const char *preload = o->p->secure ? NULL : process_variable(o->p, "LD_PRELOAD");
    place(o, process_executable(o->p));
    if (preload) preload_each(preload, place_preloaded, o);
    place_system_preloaded(o);
    for (size_t i = 0; i < o->count; i++) {
        struct module *m = &o->p->modules[o->list[i]];
        if (m->source != MODULE_UNREAD) elf_image_needed(&m->image, place_needed, o);
    }
}

static void place_rest(struct order *o)
{
    for (size_t i = 0; i < o->p->module_count; i++) place(o, &o->p->modules[i]);
}

void lookup_order(struct process *p)
{
    struct order o = {.p = p, .list = calloc(p->module_count + 1, sizeof *o.list)};
    struct module *sorted = calloc(p->module_count + 1, sizeof *sorted);
    if (o.list && sorted) {
        p->lookup = place_by_loader(&o) ? LOOKUP_LOADER : LOOKUP_RULE;
        if (p->lookup == LOOKUP_RULE) place_by_rule(&o);
        place_rest(&o);
        for (size_t i = 0; i < p->module_count; i++) sorted[i] = p->modules[o.list[i]];
        free(p->modules);
        p->modules = sorted;
        sorted = NULL;
    }
    free(sorted);
    free(o.list);
}
