/* A graph with cycles, in twenty lines: cc graph.c -lfreehold. Nothing is freed by hand, nothing leaks. With
 * --json it says what the collector did. */
#include <freehold/gc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vertex {
    struct vertex *neighbour[4];
    int number;
};
FH_GC_TYPE(vertex, neighbour)

int main(int argc, char **argv)
{
    struct fh_gc_heap *heap = fh_gc_create(NULL);
    struct vertex *here = fh_gc_new(heap, vertex);
    for (int i = 1; i < 10000000; i++) {
        struct vertex *next = fh_gc_new(heap, vertex);
        next->number = i;
        fh_gc_store(heap, &next->neighbour[rand() % 4], here);
        fh_gc_store(heap, &here->neighbour[rand() % 4], next);
        if (i % 100000 == 0) next->neighbour[0] = next->neighbour[1] = next; /* forget the past */
        if (i % 100000 == 0) next->neighbour[2] = next->neighbour[3] = NULL;
        here = next;
    }
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    printf("vertex %d; %zu MiB allocated, %zu MiB in the heap, %zu collections\n", here->number,
           (size_t)stats.allocated_bytes >> 20, (size_t)stats.heap_bytes >> 20,
           (size_t)stats.collections);
    static char json[8192];
    fh_gc_stats_json(heap, json, sizeof json);
    if (argc > 1 && strcmp(argv[1], "--json") == 0) puts(json);
    fh_gc_destroy(heap);
    return 0;
}
