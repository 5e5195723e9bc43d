#include "collector.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const known[] = {
    "freehold-mark",
    "freehold-generational",
    "freehold-concurrent",
    "freehold-watched",
    "freehold-libgc",
    "boehm",
    "boehm-new",
    "mps",
    "whippet-mmc",
    "whippet-gen-mmc",
    "malloc",
};

enum { KNOWN = sizeof known / sizeof known[0] };
static_assert(KNOWN <= COLLECTORS_MAX, "a place for each");

static bool named(const char *name, const char *only)
{
    size_t length = strlen(name);
    for (const char *at = only; (at = strstr(at, name)); at += length)
        if ((at == only || at[-1] == ',') && (at[length] == '\0' || at[length] == ',')) return true;
    return false;
}

static bool is_known(const char *name, size_t length)
{
    for (unsigned i = 0; i < KNOWN; i++)
        if (strlen(known[i]) == length && !strncmp(known[i], name, length)) return true;
    return false;
}

// Every name of the list is one; else says which is not, and which there are.
static bool all_known(const char *only)
{
    for (size_t length; only; only = only[length] ? only + length + 1 : NULL) {
        length = strcspn(only, ",");
        if (is_known(only, length)) continue;
        fprintf(stderr, "bench: no collector is called '%.*s'; there are", (int)length, only);
        for (unsigned i = 0; i < KNOWN; i++) fprintf(stderr, " %s", known[i]);
        fprintf(stderr, "\n");
        return false;
    }
    return true;
}

bool collectors_find(struct collectors *all, const char *folder, const char *only)
{
    if (!all_known(only)) return false;
    for (unsigned i = 0; i < KNOWN; i++) {
        struct collector *collector = &all->list[all->count];
        snprintf(collector->name, sizeof collector->name, "%s", known[i]);
        snprintf(collector->path, sizeof collector->path, "%s/gc/%s", folder, known[i]);
        collector->ours = !strncmp(known[i], "freehold", 8);
        collector->by_hand = !strcmp(known[i], "malloc");
        bool built = !access(collector->path, X_OK);
        if (only && named(known[i], only) && !built)
            fprintf(stderr, "bench: %s is not built, and left out\n", known[i]);
        if ((!only || named(known[i], only)) && built) all->count++;
    }
    if (!all->count) fprintf(stderr, "bench: no back end found below %s/gc\n", folder);
    return all->count > 0;
}
