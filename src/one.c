/*
 * The whole library as one unit, in the order of its floors: this list is the plan of the house.
 * A release is built from it, so that the compiler sees through every floor; each file also compiles
 * by itself.
 *
 * With FH_LIBGC it is libgc.so.1: the ABI of the Boehm collector on the same floors, without a policy of malloc, since
 * the malloc of the program stays whose it is.
 */

/* base: bits, locks, formatting; knows no page and no thread */
#include "base/format.c"
#include "base/lock.c"
#include "base/panic.c"

/* os: the kernel, behind one contract */
#include "os/say.c"
#include "os/linux/cgroup.c"
#include "os/linux/pressure.c"
#include "os/linux/thread.c"
#include "os/linux/watch_faults.c"
#include "os/linux/watch.c"
#include "os/linux/self.c"
#ifdef FH_OS_FAKE
#include "os/fake/fake.c"
#else
#include "os/linux/process.c"
#include "os/linux/vm.c"
#endif

/* event: facts out; receives numbers and knows nothing of what they count */
#include "event/histogram.c"
#include "event/ring.c"
#include "event/utilisation.c"

/* span: the arena, spans, their descriptors, the registry, the purger */
#include "span/arena.c"
#include "span/purger.c"
#include "span/registry.c"
#include "span/span.c"

#if defined(FH_HARDENED)
/* hard: the policy of malloc, hardened */
#include "os/linux/fault.c"
#include "os/linux/guard.c"
#ifdef FH_TAG_FAKE
#include "os/fake/tag.c"
#else
#include "os/linux/tag.c"
#endif
#include "hard/random.c"
#include "hard/space.c"
#include "hard/central.c"
#include "hard/zone.c"
#include "hard/stack.c"
#include "hard/report_place.c"
#include "hard/report_symbol.c"
#include "hard/report_say.c"
#include "hard/report_text.c"
#include "hard/report_json.c"
#include "hard/exempt.c"
#include "hard/report.c"
#include "hard/sample_watch.c"
#include "hard/sample.c"
#include "hard/fault.c"
#include "hard/reuse_scan.c"
#include "hard/reuse_stop.c"
#include "hard/reuse.c"
#include "hard/thread.c"
#include "hard/large.c"
#include "hard/walk.c"
#include "hard/verify.c"
#include "hard/slot.c"
#include "hard/stale.c"
#include "hard/usage.c"
#include "hard/registry.c"
#elif !defined(FH_LIBGC)
/* heap: the policy of malloc */
#include "heap/classes.c"
#include "heap/heap.c"
#include "heap/slab.c"
#include "heap/refill.c"
#include "heap/remote.c"
#include "heap/run.c"
#include "heap/large.c"
#include "heap/allocate.c"
#include "heap/live.c"
#include "heap/sweep.c"
#include "heap/usage.c"
#endif

/* gc: the collector */
#include "gc/side.c"
#include "gc/vector.c"
#include "gc/type.c"
#include "gc/pause.c"
#include "gc/event.c"
#include "gc/thread.c"
#include "gc/world.c"
#include "gc/attach.c"
#include "gc/fence.c"
#include "gc/object.c"
#include "gc/sweep.c"
#include "gc/block.c"
#include "gc/blocks.c"
#include "gc/large.c"
#include "gc/hole.c"
#include "gc/mutator.c"
#include "gc/allocate.c"
#include "gc/free.c"
#include "gc/size.c"
#include "gc/modules.c"
#include "gc/roots.c"
#include "gc/stack.c"
#include "gc/mark.c"
#include "gc/marking.c"
#include "gc/visit.c"
#include "gc/index.c"
#include "gc/weak.c"
#include "gc/link.c"
#include "gc/ephemeron.c"
#include "gc/finalize.c"
#include "gc/barrier.c"
#include "gc/stay.c"
#include "gc/forward.c"
#include "gc/compact.c"
#include "gc/collect.c"
#include "gc/handshake.c"
#include "gc/assist.c"
#include "gc/concurrent.c"
#include "gc/meeting.c"
#include "gc/watched.c"
#include "gc/collector.c"
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

/* face: what a program sees */
#ifdef FH_LIBGC
#include "face/libgc/settings.c"
#include "face/libgc/log.c"
#include "face/libgc/environment.c"
#include "face/libgc/twin.c"
#include "face/libgc/start.c"
#include "face/libgc/kind.c"
#include "face/libgc/malloc.c"
#include "face/libgc/typed.c"
#include "face/libgc/gcj.c"
#include "face/libgc/link.c"
#include "face/libgc/finalize.c"
#include "face/libgc/toggleref.c"
#include "face/libgc/disclaim.c"
#include "face/libgc/leak.c"
#include "face/libgc/weak.c"
#include "face/libgc/roots.c"
#include "face/libgc/thread.c"
#include "face/libgc/suspend.c"
#include "face/libgc/fault.c"
#include "face/libgc/collect.c"
#include "face/libgc/stats.c"
#include "face/libgc/debug.c"
#include "face/libgc/check.c"
#include "face/libgc/report.c"
#else
#include "face/options.c"
#include "face/start.c"
#include "face/describe.c"
#ifdef FH_HARDENED
#include "face/hardened/policy.c"
#include "face/hardened/malloc.c"
#include "face/hardened/zone.c"
#include "face/hardened/token.c"
#include "face/hardened/look.c"
#include "face/hardened/range.c"
#else
#include "face/policy_heap.c"
#include "face/malloc.c"
#endif
#include "face/cxx.c"
#include "face/info.c"
#include "face/run.c"
#ifndef FH_HARDENED
#include "face/oom_judge.c"
#include "face/oom_census.c"
#include "face/oom_maps.c"
#include "face/oom_report.c"
#include "face/oom.c"
#include "face/plug_keep.c"
#include "face/plug_launch.c"
#include "face/plug.c"
#endif
#include "face/look.c"
#include "face/sandbox.c"
#include "face/gc.c"
#endif
