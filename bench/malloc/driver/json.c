#include "common/json.h"
#include "report.h"

static void row_write(FILE *file, const struct row *row, const struct allocator *allocator,
                      const struct result *result)
{
    const struct sample *median = &result->median;
    fprintf(file, "{\"workload\": \"%s\", \"allocator\": \"%s\", \"threads\": %u", row->name,
            allocator->name, row->threads);
    if (median->why[0]) {
        json_text(file, "error", median->why);
    } else {
        json_number(file, "wall_s", median->wall_s);
        json_number(file, "cpu_s", median->cpu_s);
        json_count(file, "peak_rss_kib", median->peak_rss_kib);
        json_count(file, "end_rss_kib", median->end_rss_kib);
        json_count(file, "live_kib", median->live_kib);
        json_number(file, "spread", result->wall_spread);
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
