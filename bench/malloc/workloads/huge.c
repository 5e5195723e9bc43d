// An array that starts at 32 MiB and grows by half each time to 384 MiB, beside one of fixed size.
//
// Stresses: growing huge blocks. mremap moves page tables; copying moves every byte and holds both
// copies. Who has it: in-memory tables and columns, logs read into one vector, matrices, mesh and
// point cloud data.
#include "../kit/kit.h"

enum { FIRST = 32 << 20, LAST = 384 << 20, FULL_ROUNDS = 5 };

static void huge_grow(struct slot *array)
{
    size_t old = array->size;
    size_t size = old + old / 2 < LAST ? old + old / 2 : LAST;
    unsigned char *grown = realloc(array->block, size);
    if (!grown) fail("realloc to %zu returned NULL", size);
    block_check(grown, old, array->tag);
    block_stamp(grown, size, array->tag);
    *array = (struct slot){grown, (uint32_t)size, array->tag};
}

static void huge_round(uint32_t tag)
{
    struct slot fixed = {0}, array = {0};
    slot_fill(&fixed, FIRST, tag);
    slot_fill(&array, FIRST, tag + 1);
    while (array.size < LAST) huge_grow(&array);
    slot_drop(&array);
    slot_drop(&fixed);
}

void huge_run(struct job *job)
{
    for (size_t rounds = job_total(job, FULL_ROUNDS); rounds; rounds--)
        huge_round((uint32_t)rounds);
}
