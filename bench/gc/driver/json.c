#include "common/json.h"
#include "report.h"

static void gaps_write(FILE *file, const char *name, const struct gaps *gaps)
{
    char key[32];
    const struct {
        const char *suffix;
        double value;
    } fields[] = {{"p50", gaps->p50}, {"p99", gaps->p99}, {"p999", gaps->p999}, {"max", gaps->max}};
    for (unsigned i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "%s_%s_us", name, fields[i].suffix);
        json_number(file, key, fields[i].value);
    }
}

static void row_write(FILE *file, const struct row *row, const struct collector *collector,
                      const struct result *result)
{
    const struct sample *median = &result->median;
    fprintf(file, "{\"workload\": \"%s\", \"collector\": \"%s\", \"heap_mib\": %u, \"threads\": %u",
            row->name, collector->name, row->heap_mib, row->threads);
    json_number(file, "heap_multiple", row->multiple);
    if (median->why[0]) {
        json_text(file, median->cannot ? "cannot" : "error", median->why);
    } else {
        json_number(file, "wall_s", median->wall_s);
        json_number(file, "cpu_s", median->cpu_s);
        json_number(file, "setup_s", median->setup_s);
        json_count(file, "peak_rss_kib", median->peak_rss_kib);
        json_count(file, "end_rss_kib", median->end_rss_kib);
        json_count(file, "collections", median->collections);
        gaps_write(file, "pause", &median->pause);
        gaps_write(file, "held", &median->held);
        gaps_write(file, "cpu", &median->cpu);
        json_number(file, "spread", result->wall_spread);
    }
    fprintf(file, ", \"reps\": %u}", result->reps);
}

bool json_write(const struct bench *bench, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file) return false;
    const char *before = "[";
    for (unsigned row = 0; row < bench->row_count; row++)
        for (unsigned i = 0; i < bench->collectors.count; i++) {
            if (bench->results[row][i].median.skipped) continue;
            fputs(before, file);
            before = ",\n ";
            row_write(file, &bench->rows[row], &bench->collectors.list[i], &bench->results[row][i]);
        }
    fputs("]\n", file);
    return fclose(file) == 0;
}
