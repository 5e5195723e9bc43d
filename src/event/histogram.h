/*
 * histogram: how often which value, in the manner of HDR histograms: 16 buckets to each doubling, so that
 * a quantile is at most a sixteenth above the value that it stands for, whatever its size.
 *
 *      value      0 .. 1023          1024 .. 2047    2048 .. 4095         ... 2^37
 *      buckets    16, one for each   16, each 64     16, each 128 wide    ...
 *                 64
 *
 * Any thread adds at any time, without a lock. A reader takes a copy: its words may differ in age by the
 * time that took, so its count is that of the buckets.
 *
 * Rejected: a bucket for each 1/32 (twice the size for a precision that no pause repeats); a list of the
 * largest values (p99 needs all of them).
 */
#ifndef EVENT_HISTOGRAM_H
#define EVENT_HISTOGRAM_H

#include "base/base.h"

#define HISTOGRAM_BUCKETS 448
#define HISTOGRAM_STEP 64 /* width of a bucket below HISTOGRAM_FINE */
#define HISTOGRAM_FINE 1024

struct histogram {
    uint64_t count, total, max;
    uint32_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* A copy that nobody changes, with a count that its buckets add up to. */
void histogram_read(const struct histogram *histogram, struct histogram *copy);

/* Starts anew; what is added meanwhile may be lost, or stay. */
void histogram_clear(struct histogram *histogram);

/* Of a copy: a value that `per_ten_thousand`/10000 of all do not exceed. It is at least the smallest such
 * value, above it by at most HISTOGRAM_STEP - 1 or a sixteenth of it (below 2^36), and never above the
 * largest of all. 0 of none. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_ten_thousand);

#endif
