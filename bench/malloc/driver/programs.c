// The rows that are real programs.
#include "row.h"

void bench_add_programs(struct bench *bench)
{
    (void)bench;
}
