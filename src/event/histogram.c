/* Histograms. See event/histogram.h. */
#include "event/histogram.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_FINE) return (unsigned)(value / HISTOGRAM_STEP);
    unsigned log = base_log2(value);
    unsigned bucket = (log - 9) * 16 + (unsigned)(value >> (log - 4) & 15);
    return (unsigned)base_min(bucket, HISTOGRAM_BUCKETS - 1);
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_limit(unsigned bucket)
{
    if (bucket < 16) return (uint64_t)(bucket + 1) * HISTOGRAM_STEP - 1;
    if (bucket == HISTOGRAM_BUCKETS - 1) return UINT64_MAX;
    unsigned log = bucket / 16 + 9;
    return ((uint64_t)(bucket % 16 + 17) << (log - 4)) - 1;
}

/* All relaxed: the words are counted, nothing is handed over by them. */
void histogram_add(struct histogram *histogram, uint64_t value)
{
    __atomic_fetch_add(&histogram->bucket[bucket_of(value)], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&histogram->count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&histogram->total, value, __ATOMIC_RELAXED);
    uint64_t most = __atomic_load_n(&histogram->max, __ATOMIC_RELAXED);
    while (value > most && !__atomic_compare_exchange_n(&histogram->max, &most, value, true,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

void histogram_read(const struct histogram *histogram, struct histogram *copy)
{
    copy->count = 0;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        copy->bucket[b] = __atomic_load_n(&histogram->bucket[b], __ATOMIC_RELAXED);
        copy->count += copy->bucket[b];
    }
    copy->total = __atomic_load_n(&histogram->total, __ATOMIC_RELAXED);
    copy->max = __atomic_load_n(&histogram->max, __ATOMIC_RELAXED);
}

void histogram_clear(struct histogram *histogram)
{
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++)
        __atomic_store_n(&histogram->bucket[b], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&histogram->count, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&histogram->total, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&histogram->max, 0, __ATOMIC_RELAXED);
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_ten_thousand)
{
    uint64_t count = histogram->count, seen = 0;
    uint64_t whole = count / 10000 * per_ten_thousand; /* apart, so that nothing overflows */
    uint64_t rank = whole + (count % 10000 * per_ten_thousand + 9999) / 10000;
    if (count == 0) return 0;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        seen += histogram->bucket[b];
        if (seen >= rank && seen) return base_min(bucket_limit(b), histogram->max);
    }
    return histogram->max;
}
