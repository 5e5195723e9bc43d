/* The collector's heaps for the program: start-up before the first, and the numbers as JSON. */
#include <errno.h>

#include "base/format.h"
#include "face/face.h"
#include "gc/gc.h"

/* The places of the words of option gc_debug. */
static_assert(FH_GC_VERIFY == 1 && FH_GC_POISON == 2 && FH_GC_MOVE_ALL == 4, "verify|poison|move");
static_assert(FH_GC_FENCE == 8 && FH_GC_RANDOM_DELAY == 16, "fence|delay");

/* What the program wants, and what the options add. */
static struct gc_heap *heap_make(const struct fh_gc_options *wanted, int *error)
{
    struct fh_gc_options all = {0};
    if (wanted) all = *wanted;
    all.debug |= (uint32_t)__atomic_load_n(&options.gc_debug, __ATOMIC_RELAXED);
    uint32_t stress = (uint32_t)__atomic_load_n(&options.gc_stress, __ATOMIC_RELAXED);
    if (stress) all.stress = stress;
    return gc_heap_create(&all, error);
}

PUBLIC struct fh_gc_heap *fh_gc_create(const struct fh_gc_options *wanted)
{
    int error = ENOMEM;
    struct gc_heap *heap = NULL;
    if (LIKELY(arena.size) || face_start()) heap = heap_make(wanted, &error);
    if (heap) return &heap->public;
    errno = error;
    return NULL;
}

PUBLIC void fh_gc_destroy(struct fh_gc_heap *heap)
{
    if (heap) gc_heap_destroy((struct gc_heap *)heap);
}

static void json_number(struct text *t, const char *name, uint64_t value)
{
    text_str(t, t->length > 1 ? ",\"" : "\"");
    text_str(t, name);
    text_str(t, "\":");
    text_dec(t, value);
}

/* Names and meanings: struct fh_gc_stats in freehold/gc.h. */
static const struct {
    const char *name;
    size_t offset;
} json_numbers[] = {
#define NUMBER(field)                                                                              \
    {                                                                                              \
#field, offsetof(struct fh_gc_stats, field)                                                \
    }
#define WHY(name, why)                                                                             \
    {                                                                                              \
        "collections_" #name, offsetof(struct fh_gc_stats, collections_why[why])                   \
    }
#define SPACE(space, field)                                                                        \
    {                                                                                              \
#space "_" #field, offsetof(struct fh_gc_stats, space.field)                               \
    }
    NUMBER(collections),
    NUMBER(minor_collections),
    WHY(allocation, FH_GC_WHY_ALLOCATION),
    WHY(limit, FH_GC_WHY_LIMIT),
    WHY(call, FH_GC_WHY_CALL),
    WHY(stress, FH_GC_WHY_STRESS),
    WHY(step, FH_GC_WHY_STEP),
    WHY(external, FH_GC_WHY_EXTERNAL),
    NUMBER(allocated_bytes),
    NUMBER(live_bytes),
    NUMBER(heap_bytes),
    NUMBER(heap_bytes_peak),
    NUMBER(target_bytes),
    NUMBER(limit_bytes),
    SPACE(blocks, count),
    SPACE(blocks, bytes),
    SPACE(blocks, live_bytes),
    SPACE(blocks, garbage_bytes),
    SPACE(blocks, hole_bytes),
    SPACE(blocks, free_bytes),
    SPACE(large, count),
    SPACE(large, bytes),
    SPACE(large, live_bytes),
    SPACE(large, garbage_bytes),
    SPACE(large, hole_bytes),
    NUMBER(metadata_bytes),
    NUMBER(table_bytes),
    NUMBER(evacuated_bytes),
    NUMBER(pinned_blocks),
    NUMBER(objects_marked),
    NUMBER(mark_ns),
    NUMBER(sweep_ns),
    NUMBER(stop_ns),
    NUMBER(handshakes),
    NUMBER(assists),
    NUMBER(stack_overflows),
    NUMBER(weak_cleared),
    NUMBER(finalizers_queued),
    NUMBER(finalizers_run),
    NUMBER(threads),
#undef NUMBER
#undef WHY
#undef SPACE
};

static void json_pauses(struct text *t, const struct fh_gc_stats *stats)
{
    json_number(t, "utilisation_1ms_permille", stats->utilisation_permille[0]);
    json_number(t, "utilisation_10ms_permille", stats->utilisation_permille[1]);
    json_number(t, "utilisation_100ms_permille", stats->utilisation_permille[2]);
    json_number(t, "pauses", stats->pauses.count);
    json_number(t, "pause_total_ns", stats->pauses.total_ns);
    json_number(t, "pause_p50_ns", fh_gc_pauses_quantile(&stats->pauses, 5000));
    json_number(t, "pause_p99_ns", fh_gc_pauses_quantile(&stats->pauses, 9900));
    json_number(t, "pause_p999_ns", fh_gc_pauses_quantile(&stats->pauses, 9990));
    json_number(t, "pause_max_ns", stats->pauses.max_ns);
}

PUBLIC size_t fh_gc_stats_json(struct fh_gc_heap *heap, char *text, size_t capacity)
{
    struct fh_gc_stats stats;
    char buffer[4096]; /* 60 numbers of at most 20 digits, with names of at most 32 letters */
    struct text t = TEXT(buffer);
    fh_gc_stats_get(heap, &stats);
    text_char(&t, '{');
    for (size_t i = 0; i < sizeof json_numbers / sizeof *json_numbers; i++) {
        uint64_t value;
        __builtin_memcpy(&value, (char *)&stats + json_numbers[i].offset, sizeof value);
        json_number(&t, json_numbers[i].name, value);
    }
    json_number(&t, "last_why", stats.last_why);
    json_pauses(&t, &stats);
    text_char(&t, '}');
    for (size_t i = 0; i < capacity; i++) text[i] = i < t.length && i + 1 < capacity ? t.at[i] : 0;
    return t.length;
}
