/* The table of heap/classes.h, computed by the compiler. */
#include "heap/classes.h"

/* A slab becomes worth queueing when a sixteenth of it is free: earlier, each visit would yield too
 * few blocks; later, free memory would lie unused. */
#define FACTS(bytes)                                                                               \
    {                                                                                              \
        .size = (bytes), .reciprocal = (uint32_t)((0x100000000ull + (bytes)-1) / (bytes)),         \
        .blocks = SLICE_SIZE / (bytes),                                                            \
        .wake = SLICE_SIZE / (bytes) / 16 ? SLICE_SIZE / (bytes) / 16 : 1,                         \
        .batch = (bytes) <= 128    ? 16                                                            \
                 : (bytes) >= 2048 ? 1                                                             \
                                   : 2048 / (bytes),                                               \
    }

#define FOUR(first, step)                                                                          \
    FACTS(first), FACTS((first) + (step)), FACTS((first) + 2 * (step)), FACTS((first) + 3 * (step))
#define SIXTEEN(first)                                                                             \
    FOUR(first, 16), FOUR((first) + 64, 16), FOUR((first) + 128, 16), FOUR((first) + 192, 16)
#define DOUBLING(base)                                                                             \
    FOUR((base) + (base) / 8, (base) / 8), FOUR((base) + 5 * (base) / 8, (base) / 8)

const struct class_facts class_facts[CLASSES] = {
    FACTS(16),                                                    /* malloc(0) */
    SIXTEEN(16),    SIXTEEN(272),   SIXTEEN(528),   SIXTEEN(784), /* 16 ... 1024 */
    DOUBLING(1024), DOUBLING(2048), DOUBLING(4096),
};
