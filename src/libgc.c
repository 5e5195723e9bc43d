/*
 * libgc.so.1 as one unit, in the order of its floors, like one.c: what is below the collector, the collector, and the
 * ABI of the Boehm collector. The malloc of the program stays whose it is.
 */

/* base */
#include "base/format.c"
#include "base/lock.c"
#include "base/panic.c"

/* os */
#include "os/linux/thread.c"
#include "os/linux/process.c"
#include "os/linux/vm.c"

/* event */
#include "event/histogram.c"
#include "event/ring.c"
#include "event/utilisation.c"

/* span */
#include "span/arena.c"
#include "span/purger.c"
#include "span/registry.c"
#include "span/span.c"

/* gc */
#include "gc/side.c"
#include "gc/type.c"
#include "gc/pause.c"
#include "gc/event.c"
#include "gc/thread.c"
#include "gc/fence.c"
#include "gc/block.c"
#include "gc/large.c"
#include "gc/allocate.c"
#include "gc/free.c"
#include "gc/size.c"
#include "gc/modules.c"
#include "gc/roots.c"
#include "gc/mark.c"
#include "gc/index.c"
#include "gc/weak.c"
#include "gc/barrier.c"
#include "gc/compact.c"
#include "gc/collect.c"
#include "gc/concurrent.c"
#include "gc/fork.c"
#include "gc/transform.c"
#include "gc/finalizer.c"
#include "gc/heap.c"
#include "gc/verify.c"
#include "gc/walk.c"
#include "gc/stats.c"
#include "gc/control.c"
#include "gc/table.c"
#include "gc/why.c"

/* face */
#include "face/libgc/settings.c"
#include "face/libgc/start.c"
#include "face/libgc/kind.c"
#include "face/libgc/malloc.c"
#include "face/libgc/typed.c"
#include "face/libgc/gcj.c"
#include "face/libgc/link.c"
#include "face/libgc/finalize.c"
#include "face/libgc/toggleref.c"
#include "face/libgc/disclaim.c"
#include "face/libgc/weak.c"
#include "face/libgc/roots.c"
#include "face/libgc/thread.c"
#include "face/libgc/collect.c"
#include "face/libgc/stats.c"
#include "face/libgc/debug.c"
#include "face/libgc/check.c"
#include "face/libgc/missing.c"
