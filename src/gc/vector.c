/* Vectors grow where they are: reserved once, committed by half as much again. See gc/vector.h. */
#include "gc/vector.h"

#include "os/os.h"
#include "span/span.h"

bool vector_reserve(struct vector *v, size_t items)
{
    size_t need = items * v->item;
    if (need <= v->committed) return true;
    if (v->base == NULL) {
        v->reserved = base_round_up(base_max(arena.size >> 10, MIB), MIB);
        v->base = os_vm_reserve(v->reserved, MIB);
        if (v->base == NULL) return false;
        os_vm_name(v->base, v->reserved, "freehold:gc-tables");
    }
    size_t size = base_round_up(base_max(need, v->committed + v->committed / 2), 64 * KIB);
    size = base_min(size, v->reserved);
    if (size < need || !os_vm_commit(v->base + v->committed, size - v->committed)) return false;
    v->committed = size;
    return true;
}

void *vector_add(struct vector *v)
{
    if (!vector_reserve(v, v->count + 1)) return NULL;
    return v->base + v->item * v->count++;
}

void vector_finish(struct vector *v)
{
    if (v->base) os_vm_release(v->base, v->reserved);
    *v = (struct vector){.item = v->item};
}
