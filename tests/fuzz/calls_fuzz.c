/*
 * Sequences of calls against the model. Each call is four bytes:
 *
 *     | what | slot | size | shift |
 *
 * so that the fuzzer can insert, drop and swap calls, and size << shift reaches from nothing to
 * beyond a large block. The heap is trimmed between inputs: what one leaves behind is little.
 */
#include <stdint.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"
#include "model/model.h"

enum { CALLS_MAX = 2000, SIZE_SHIFT_MAX = 16 };

static struct model model;

static void call(const uint8_t *bytes)
{
    unsigned slot = bytes[1] % 64;
    size_t size = (size_t)bytes[2] << bytes[3] % (SIZE_SHIFT_MAX + 1);
    size += bytes[3] >> 5; /* a few bytes over a power of two */
    size_t alignment = (size_t)1 << bytes[3] % 18;
    switch (bytes[0] % 12) {
    case 0: model_malloc(&model, slot, size); break;
    case 1: model_calloc(&model, slot, bytes[3], bytes[2]); break;
    case 2: model_calloc(&model, slot, 1, size); break;
    case 3: model_realloc(&model, slot, size); break;
    case 4: model_realloc(&model, slot, model.slot[slot].size + bytes[2]); break;
    case 5: model_aligned(&model, slot, alignment, bytes[2]); break;
    case 6: model_aligned(&model, slot, alignment, size); break;
    case 7: model_posix(&model, slot, alignment < 8 ? 8 : alignment, size); break;
    case 8: model_use_all(&model, slot); break;
    case 9: model_check(&model, slot); break;
    case 10: fh_malloc_trim(0); break;
    default: model_free(&model, slot);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    model_init(&model, 128 << 20, 1);
    for (size_t i = 0; i + 4 <= size && i < 4 * CALLS_MAX; i += 4) call(data + i);
    model_finish(&model);
    fh_malloc_trim(0);
    struct fh_usage usage;
    fh_usage_get(&usage);
    EXPECT(usage.live == 0, "%llu bytes live after all was freed", (unsigned long long)usage.live);
    return 0;
}
