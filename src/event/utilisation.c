/* Utilisation of windows of time. See event/utilisation.h. */
#include "event/utilisation.h"

#include <string.h>

/* Slots up to `to` begin without pauses. */
static void window_advance(struct utilisation_window *window, uint64_t to)
{
    if (to - window->at >= UTILISATION_SLOTS) {
        memset(window->slot, 0, sizeof window->slot);
        window->sum = 0;
        window->at = to;
    }
    while (window->at < to) {
        uint32_t *slot = &window->slot[++window->at % UTILISATION_SLOTS];
        window->sum -= *slot;
        *slot = 0;
    }
}

/* The pause's ns in each slot; what is older than the oldest slot does not matter any more. */
static void window_fill(struct utilisation_window *window, uint64_t slot_ns, uint64_t start,
                        uint64_t end)
{
    uint64_t oldest = window->at - base_min(window->at, UTILISATION_SLOTS - 1);
    for (uint64_t n = base_max(start / slot_ns, oldest); n <= window->at; n++) {
        uint64_t from = base_max(start, n * slot_ns), to = base_min(end, (n + 1) * slot_ns);
        window->slot[n % UTILISATION_SLOTS] += (uint32_t)(to - from);
        window->sum += to - from;
    }
}

/* Inlined with a constant, so that no division is one. */
FH_INLINE uint32_t window_add(struct utilisation_window *window, uint64_t slot_ns, uint64_t start,
                              uint64_t end)
{
    uint64_t length = slot_ns * (UTILISATION_SLOTS - 1);
    window_advance(window, end / slot_ns);
    window_fill(window, slot_ns, start, end);
    uint64_t oldest = window->slot[(window->at + 1) % UTILISATION_SLOTS];
    uint64_t inside = slot_ns - end % slot_ns; /* of the oldest slot */
    uint64_t paused = window->sum - oldest + base_min(oldest, inside);
    return (uint32_t)((length - base_min(paused, length)) * 1000 / length);
}

void utilisation_add(struct utilisation *utilisation, uint64_t start, uint64_t end,
                     uint32_t permille[UTILISATION_WINDOWS])
{
    start = base_max(start, utilisation->end);
    end = base_max(start, end);
    utilisation->end = end;
    permille[0] = window_add(&utilisation->window[0], 10000, start, end);
    permille[1] = window_add(&utilisation->window[1], 100000, start, end);
    permille[2] = window_add(&utilisation->window[2], 1000000, start, end);
}
