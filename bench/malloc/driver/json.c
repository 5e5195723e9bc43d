#include "report.h"

#include <stdio.h>

static void number(FILE *file, const char *key, double value)
{
    fprintf(file, ", \"%s\": %.6g", key, value);
}

static void kib(FILE *file, const char *key, long value)
{
    if (value >= 0) fprintf(file, ", \"%s\": %ld", key, value);
}

// The reasons are sentences of ours and paths; a quote or backslash in a path becomes a blank.
static void text(FILE *file, const char *key, const char *value)
{
    fprintf(file, ", \"%s\": \"", key);
    for (; *value; value++)
        fputc(*value == '"' || *value == '\\' || (unsigned char)*value < ' ' ? ' ' : *value, file);
    fputc('"', file);
}

static void row_write(FILE *file, const struct row *row, const struct allocator *allocator,
                      const struct result *result)
{
    const struct sample *median = &result->median;
    fprintf(file, "{\"workload\": \"%s\", \"allocator\": \"%s\", \"threads\": %u", row->name,
            allocator->name, row->threads);
    if (median->why[0]) {
        text(file, "error", median->why);
    } else {
        number(file, "wall_s", median->wall_s);
        number(file, "cpu_s", median->cpu_s);
        kib(file, "peak_rss_kib", median->peak_rss_kib);
        kib(file, "end_rss_kib", median->end_rss_kib);
        kib(file, "live_kib", median->live_kib);
        number(file, "spread", result->wall_spread);
    }
    fprintf(file, ", \"reps\": %u}", result->reps);
}

bool json_write(const struct bench *bench, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file) return false;
    for (unsigned row = 0; row < bench->row_count; row++)
        for (unsigned i = 0; i < bench->allocators.count; i++) {
            fputs(row || i ? ",\n " : "[", file);
            row_write(file, &bench->rows[row], &bench->allocators.list[i], &bench->results[row][i]);
        }
    fputs("]\n", file);
    return fclose(file) == 0;
}
