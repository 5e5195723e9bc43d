// Medians of repetitions; with an even number of them the lower middle one, so that a median is always
// a number that was measured.
#ifndef BENCH_COMMON_MEDIAN_H
#define BENCH_COMMON_MEDIAN_H

enum { REPS_MAX = 31 };

// `count` of at most REPS_MAX values, in any order.
double median(const double *values, unsigned count);

// The median of one field of an array of structures.
#define MEDIAN_OF(samples, count, field)                                                           \
    ({                                                                                             \
        double values_[REPS_MAX] = {0};                                                            \
        for (unsigned at_ = 0; at_ < (count); at_++) values_[at_] = (double)(samples)[at_].field;  \
        median(values_, count);                                                                    \
    })

// (largest - smallest) / median.
double spread(const double *values, unsigned count);

#define SPREAD_OF(samples, count, field)                                                           \
    ({                                                                                             \
        double values_[REPS_MAX] = {0};                                                            \
        for (unsigned at_ = 0; at_ < (count); at_++) values_[at_] = (double)(samples)[at_].field;  \
        spread(values_, count);                                                                    \
    })

#endif
