/*
 * plug: a leaking program kept alive. Blocks that `freehold` has found lost in two looks from outside are given back.
 *
 *     plug.c          the mailbox (freehold/plug.h), and taking blocks from it
 *     plug_launch.c   starting the command, where nobody else looks
 *     plug_keep.c     what only the kernel has an address of
 *
 * The library finds nothing lost itself: what stops all threads, and searches a copy of the memory, is the command,
 * another process (docs/decisions/0012-plug.md).
 */
#ifndef FACE_PLUG_H
#define FACE_PLUG_H

#include <freehold/plug.h>

#include "face/face.h"

/* With option plug: the mailbox is there from now on. */
void plug_start(void);

/* A thread comes by for memory: some blocks of the list go back. Any thread, no lock held, errno kept. */
void plug_tick(void);

/* The list was of the parent's memory; the child begins anew. */
void plug_fork_child(void);

/* ---- plug_launch.c ------------------------------------------------------------------------------------ */

/* Starts `freehold plug` for this process, as nobody's child. NULL, or why not, and what to do. */
const char *plug_launch(void);

/* This process may be stopped and read by that one, where the kernel lets only ancestors (Yama). */
void plug_admit(long looker);

/* The path of the command, as plug_launch finds it. False: it is not there. `self`: the file of this library. */
bool plug_find_command(const char *self, char *path, size_t capacity);

/* ---- plug_keep.c -------------------------------------------------------------------------------------- */

/* The kernel is about to be given an address for later. */
void plug_keep(uintptr_t address);

/* Whether the kernel has been given an address in [start, start + size). */
bool plug_is_kept(uintptr_t start, size_t size);

#endif
