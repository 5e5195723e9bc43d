// redis-server on the allocator under test, redis-benchmark on the C library's, over a Unix socket.
#ifndef BENCH_DRIVER_REDIS_H
#define BENCH_DRIVER_REDIS_H

#include "row.h"

// wall_s is the benchmark's, from its first request to its last; cpu_s and peak_rss_kib are the
// server's.
row_measure redis_measure;

#endif
