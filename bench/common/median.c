#include "common/median.h"

#include <stdlib.h>
#include <string.h>

static int number_compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

double median(const double *values, unsigned count)
{
    double sorted[REPS_MAX];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, number_compare);
    return sorted[(count - 1) / 2];
}

double spread(const double *values, unsigned count)
{
    double low = values[0], high = low, middle = median(values, count);
    for (unsigned i = 1; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    return middle > 0 ? (high - low) / middle : 0;
}
