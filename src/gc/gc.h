/*
 * gc: the collector. A heap owns blocks (spans of one slice, into whose holes objects are
 * bump-allocated) and large objects (spans of their own); threads allocate, a collection finds what
 * can be reached.
 *
 * This is the door, for face/, and the map. Inside, each part has a header of its own, which is its
 * manual; a file includes those of what it uses.
 *
 * Objects and blocks
 *      allocate.c   one object, and what is done when there is no room     type.c     types
 *      hole.c       the room that a thread bumps through                   object.c   by address
 *      mutator.c    a thread's part of a heap, as collections see it       large.c    above 64 KiB
 *      block.c      which block a thread gets                              sweep.c    what is dead
 *      blocks.c     all of them, as a collection turns them                side.c     mark bytes
 *      free.c       objects that the program frees itself
 * Threads
 *      thread.c     one: how it comes to stand, and goes on                attach.c   its two ends
 *      world.c      all: stopped, or asked by handshakes                   fork.c     in a fork
 * What is alive
 *      roots.c, modules.c    where marking begins                          mark.c     the tracer
 *      stack.c      what is to be looked at yet                            marking.c  who marks
 *      weak.c, link.c, ephemeron.c, finalize.c, finalizer.c   what marking does not follow
 *      barrier.c    stores that are remembered                             visit.c    any visitor
 * Collections
 *      collect.c    one that stops the program, as a page of verbs         size.c     when
 *      concurrent.c, handshake.c, assist.c, collector.c   one that does not
 *      compact.c, stay.c, forward.c   objects that move
 * Facts and questions
 *      event.c, stats.c, pause.c   numbers out        walk.c, why.c, transform.c   the whole heap
 *      verify.c, fence.c           what may be wrong  heap.c, control.c, table.c   for programs
 *
 * Who may touch what:
 *   world lock       collections, attaching and detaching; its holder alone stops threads
 *   heap->lock       lists of blocks and large objects, tables of roots and weak things;
 *                    for a few steps
 *   a mutator        its own context and holes, in slow paths (`busy`), where it is not stopped
 *   who stopped all  everything; but takes no lock and calls nothing that allocates
 */
#ifndef GC_GC_H
#define GC_GC_H

#include "gc/allocate.h"
#include "gc/collect.h"
#include "gc/fork.h"
#include "gc/free.h"
#include "gc/heap.h"
#include "gc/object.h"
#include "gc/size.h"

#endif
