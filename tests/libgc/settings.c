/* settings: allocates 40 MiB with 2 MiB kept and says what the settings of the environment came to. */
#include <stdio.h>
#include <string.h>

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc/gc.h>

/* Exported, and in no header. */
void GC_err_printf(const char *format, ...);

static void *kept[64];

int main(void)
{
    GC_INIT();
    size_t first = GC_size(GC_MALLOC(32));
    int got = GC_MALLOC(20 << 20) != NULL; /* more than a limit of 8M allows */
    for (int i = 0; i < 640; i++) kept[i % 64] = GC_MALLOC_ATOMIC(64 << 10);
    GC_word automatic = GC_get_gc_no();
    memset(kept, 0, sizeof kept);
    GC_gcollect();
    GC_gcollect();
    printf("collections=%d large=%d object=%d parallel=%d disabled=%d leak=%d heap=%d "
           "incremental=%d\n",
           (int)automatic, got, (int)first, GC_get_parallel(), GC_is_disabled(), GC_get_find_leak(),
           (int)(GC_get_heap_size() >> 20), GC_is_incremental_mode());
    GC_err_printf("from the program\n");
    return 0;
}
