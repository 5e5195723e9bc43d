/* The collector's heaps for the program: start-up before the first, and the numbers as JSON. */
#include <errno.h>

#include "base/format.h"
#include "face/face.h"
#include "gc/gc.h"

PUBLIC struct fh_gc_heap *fh_gc_create(const struct fh_gc_options *options)
{
    int error = ENOMEM;
    struct gc_heap *heap = NULL;
    if (LIKELY(arena.size) || face_start()) heap = gc_heap_create(options, &error);
    if (heap) return &heap->public;
    errno = error;
    return NULL;
}

PUBLIC void fh_gc_destroy(struct fh_gc_heap *heap)
{
    if (heap) gc_heap_destroy(heap_of(heap));
}

static void json_number(struct text *t, const char *name, uint64_t value)
{
    text_str(t, t->length > 1 ? ",\"" : "\"");
    text_str(t, name);
    text_str(t, "\":");
    text_dec(t, value);
}

PUBLIC size_t fh_gc_stats_json(struct fh_gc_heap *heap, char *text, size_t capacity)
{
    static const struct {
        const char *name;
        size_t offset;
    } number[] = {
#define NUMBER(field) {#field, offsetof(struct fh_gc_stats, field)}
        NUMBER(collections),     NUMBER(minor_collections), NUMBER(allocated_bytes),
        NUMBER(live_bytes),      NUMBER(heap_bytes),        NUMBER(heap_bytes_peak),
        NUMBER(target_bytes),    NUMBER(limit_bytes),       NUMBER(block_count),
        NUMBER(blocks_free),     NUMBER(blocks_full),       NUMBER(large_count),
        NUMBER(large_bytes),     NUMBER(metadata_bytes),    NUMBER(hole_bytes),
        NUMBER(evacuated_bytes), NUMBER(pinned_blocks),     NUMBER(objects_marked),
        NUMBER(mark_ns),         NUMBER(sweep_ns),          NUMBER(stop_ns),
        NUMBER(handshakes),      NUMBER(assists),           NUMBER(stack_overflows),
        NUMBER(weak_cleared),    NUMBER(finalizers_queued), NUMBER(finalizers_run),
        NUMBER(threads),
#undef NUMBER
    };
    struct fh_gc_stats stats;
    char buffer[2048];
    struct text t = TEXT(buffer);
    fh_gc_stats_get(heap, &stats);
    text_char(&t, '{');
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        uint64_t value;
        __builtin_memcpy(&value, (char *)&stats + number[i].offset, sizeof value);
        json_number(&t, number[i].name, value);
    }
    json_number(&t, "last_why", stats.last_why);
    json_number(&t, "pauses", stats.pauses.count);
    json_number(&t, "pause_total_ns", stats.pauses.total_ns);
    json_number(&t, "pause_p50_ns", fh_gc_pauses_quantile(&stats.pauses, 5000));
    json_number(&t, "pause_p99_ns", fh_gc_pauses_quantile(&stats.pauses, 9900));
    json_number(&t, "pause_p999_ns", fh_gc_pauses_quantile(&stats.pauses, 9990));
    json_number(&t, "pause_max_ns", stats.pauses.max_ns);
    text_char(&t, '}');
    for (size_t i = 0; i < capacity; i++) text[i] = i < t.length && i + 1 < capacity ? t.at[i] : 0;
    return t.length;
}
