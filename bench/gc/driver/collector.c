#include "collector.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const known[] = {
    "freehold-mark", "freehold-generational", "freehold-concurrent", "boehm",  "boehm-new",
    "mps",           "whippet-mmc",           "whippet-gen-mmc",     "malloc",
};

static bool named(const char *name, const char *only)
{
    size_t length = strlen(name);
    for (const char *at = only; (at = strstr(at, name)); at += length)
        if ((at == only || at[-1] == ',') && (at[length] == '\0' || at[length] == ',')) return true;
    return false;
}

bool collectors_find(struct collectors *all, const char *folder, const char *only)
{
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct collector *collector = &all->list[all->count];
        snprintf(collector->name, sizeof collector->name, "%s", known[i]);
        snprintf(collector->path, sizeof collector->path, "%s/gc/%s", folder, known[i]);
        collector->ours = !strncmp(known[i], "freehold", 8);
        collector->by_hand = !strcmp(known[i], "malloc");
        if ((!only || named(known[i], only)) && !access(collector->path, X_OK)) all->count++;
    }
    if (!all->count) fprintf(stderr, "bench: no back end found below %s/gc\n", folder);
    return all->count > 0;
}
