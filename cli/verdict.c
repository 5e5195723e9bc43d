/* Redirectors first, then the first exporter in lookup order, then what is inside the program. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "verdict.h"

static const struct module *exporter_of(const struct process *p, unsigned function, size_t from)
{
    for (size_t i = from; i < p->module_count; i++) {
        if (p->modules[i].signs.exported & 1u << function) return &p->modules[i];
    }
    return NULL;
}

static const struct module *redirector_of(const struct process *p)
{
    for (size_t i = 0; i < p->module_count; i++) {
        const struct module *m = &p->modules[i];
        if (allocator_is_redirector(allocator_first(m->signs.allocators))) return m;
    }
    return NULL;
}

static void find_owners(struct verdict *v, const struct process *p)
{
    for (unsigned i = 0; i < FUNCTION_COUNT; i++) v->functions[i] = exporter_of(p, i, 0);
    v->owner = v->functions[FUNCTION_MALLOC];
    if (!v->owner) return;
    v->allocator = allocator_first(v->owner->signs.allocators);
    if (allocator_is_wrapper(v->allocator)) {
        v->wrapper = v->owner;
        size_t next = (size_t)(v->wrapper - p->modules) + 1;
        v->owner = exporter_of(p, FUNCTION_MALLOC, next);
        v->allocator = v->owner ? allocator_first(v->owner->signs.allocators) : ALLOCATOR_NONE;
        return; /* a wrapper need not export every function: the rest is handed on as it is */
    }
    for (unsigned i = 0; i < FUNCTION_COUNT; i++)
        v->mixed |= v->functions[i] && v->functions[i] != v->owner;
}

/* Of a static program, or of one whose allocator is not exported. */
static void find_owner_inside(struct verdict *v, const struct process *p)
{
    const struct module *program = process_executable(p);
    if (!program || (program->signs.allocators == 0 && program->signs.defined == 0)) return;
    v->owner = program;
    v->allocator = allocator_of_static(program->signs.allocators);
    v->likely = program->signs.likely;
}

/* ---- preloading that did not happen --------------------------------------------------------- */

struct search {
    struct verdict *v;
    const struct process *p;
};

static void compare_machines(const struct process *p, const struct elf_image *library, char *reason,
                             size_t capacity)
{
    char a[32], b[32];
    const struct module *program = process_executable(p);
    if (!program || program->source == MODULE_UNREAD) return;
    const GElf_Ehdr *x = &library->header, *y = &program->image.header;
    if (x->e_machine != y->e_machine || x->e_ident[EI_CLASS] != y->e_ident[EI_CLASS])
        snprintf(reason, capacity, "it is for %s and the program is %s",
                 elf_machine_name(library, a, sizeof a),
                 elf_machine_name(&program->image, b, sizeof b));
}

static void examine_preload(const struct process *p, const char *entry, char *reason,
                            size_t capacity)
{
    char path[4200];
    struct elf_image library;
    process_path(p, entry, path, sizeof path);
    if (access(path, F_OK) != 0) {
        snprintf(reason, capacity, "there is no such file");
    } else if (!elf_image_open_path(&library, path)) {
        snprintf(reason, capacity, "it is not a library, or cannot be read");
    } else {
        compare_machines(p, &library, reason, capacity);
        elf_image_close(&library);
    }
}

static void explain_preload(const struct search *s, const char *entry, char *reason,
                            size_t capacity)
{
    snprintf(reason, capacity, "the loader said why on the program's stderr when it started");
    if (s->v->is_static)
        snprintf(reason, capacity, "the program is static: it has no loader that would preload");
    else if (s->p->secure)
        snprintf(reason, capacity,
                 "the program is setuid or has file capabilities (AT_SECURE): "
                 "the loader ignores LD_PRELOAD");
    else if (entry[0] == '/')
        examine_preload(s->p, entry, reason, capacity);
    else
        snprintf(reason, capacity,
                 "the loader found no such file in its directories, or one for another machine");
}

static bool note_preload(void *context, const char *entry)
{
    struct search *s = context;
    if (process_module(s->p, entry)) return true;
    struct ignored_preload *ignored = &s->v->ignored[s->v->ignored_count++];
    snprintf(ignored->entry, sizeof ignored->entry, "%s", entry);
    explain_preload(s, entry, ignored->reason, sizeof ignored->reason);
    return s->v->ignored_count < IGNORED_MAX;
}

void verdict_reach(struct verdict *v, const struct process *p)
{
    *v = (struct verdict){.allocator = ALLOCATOR_NONE, .is_static = process_is_static(p)};
    v->owner = redirector_of(p);
    if (v->owner) v->allocator = allocator_first(v->owner->signs.allocators);
    if (!v->owner && !v->is_static) find_owners(v, p);
    if (!v->owner) find_owner_inside(v, p);
    for (size_t i = 0; i < p->module_count; i++) v->unread += p->modules[i].source == MODULE_UNREAD;
    const char *preload = process_variable(p, "LD_PRELOAD");
    struct search search = {v, p};
    if (preload) preload_each(preload, note_preload, &search);
}

const char *verdict_name(const struct verdict *v)
{
    if (!v->owner) return "unknown";
    return v->allocator == ALLOCATOR_NONE ? "an allocator this command does not know"
                                          : allocator_name(v->allocator);
}

void verdict_others(const struct verdict *v, const struct process *p,
                    void (*each)(void *context, int allocator, const struct module *where),
                    void *context)
{
    for (size_t i = 0; i < p->module_count; i++) {
        const struct module *m = &p->modules[i];
        for (uint64_t rest = m->signs.allocators; rest; rest &= rest - 1) {
            int allocator = allocator_first(rest);
            if (m == v->wrapper || (m == v->owner && allocator == v->allocator)) continue;
            each(context, allocator, m);
        }
    }
}
