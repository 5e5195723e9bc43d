/*
 * What marking does not follow, in the order that the ABI gives it:
 *
 *      marked all --> overruns of objects of debug functions are told (debug.c)
 *                 --> short links to what is not marked are cleared
 *                 --> finalizable objects that are not marked are queued, and kept (finalize.c)
 *                 --> long links to what is not marked even now are cleared
 *
 *                 --> toggle references to the same leave their list, and who disclaims is asked
 *
 * Links that lie in objects that go, go too. What is to be freed by the program and was lost is found last (leak.c).
 */
#include "face/libgc/libgc.h"

void weak_hook(struct gc_heap *heap)
{
    debug_check_all(heap);
    links_clear_short(heap);
    finalizers_due(heap);
    links_clear_long(heap);
    togglerefs_drop(heap);
    disclaim_dead(heap);
    leaks_find(heap);
}
