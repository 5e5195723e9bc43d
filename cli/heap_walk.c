/* What the walkers share. See heap_walk.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "heap_walk.h"

/* Zero-initialised data follows its file as a mapping without one. */
static bool is_data(const struct maps *maps, size_t i)
{
    const struct mapping *m = &maps->list[i], *before = i > 0 ? m - 1 : NULL;
    if (!m->writable || m->shared) return false;
    if (m->inode != 0) return true;
    return before && before->end == m->start && before->inode != 0 && m->path[0] != '[';
}

bool walk_data(const struct image *image, bool (*each)(void *context, uint64_t from, uint64_t to),
               void *context)
{
    for (size_t i = 0; i < image->maps.count; i++) {
        const struct mapping *m = &image->maps.list[i];
        uint64_t from = m->start, to = m->end;
        if (!is_data(&image->maps, i)) continue;
        for (; image_present(image, &from, &to); from = to, to = m->end) {
            if (each(context, from, to)) return true;
        }
    }
    return false;
}

enum walk_found walk_misfit(struct heap_walk *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->misfit, sizeof w->misfit, format, arguments);
    va_end(arguments);
    return WALK_MISFIT;
}

void *walk_append(void **list, size_t *count, size_t *capacity, size_t size)
{
    if (*count == *capacity) {
        size_t room = *capacity ? *capacity * 2 : 64;
        void *grown = realloc(*list, room * size);
        if (!grown) return NULL;
        *list = grown;
        *capacity = room;
    }
    return (char *)*list + size * (*count)++;
}
