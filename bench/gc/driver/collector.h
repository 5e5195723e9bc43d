// The collectors of a run: the back ends that were built.
#ifndef BENCH_GC_COLLECTOR_H
#define BENCH_GC_COLLECTOR_H

#include <stdbool.h>

struct collector {
    char name[40];
    char path[640];
    bool ours;    // a policy of Freehold's: compared with the peers
    bool by_hand; // malloc: no collector, so no peer either; measured beside them
};

enum { COLLECTORS_MAX = 12 };

struct collectors {
    struct collector list[COLLECTORS_MAX];
    unsigned count;
};

// Those below `folder`, in the order of the table; `only` (or NULL) names the ones to keep, separated
// by commas. False when nothing is left.
bool collectors_find(struct collectors *all, const char *folder, const char *only);

#endif
