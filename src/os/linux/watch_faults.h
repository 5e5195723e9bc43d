/*
 * The last of the ways of os/watch.h: pages are protected by mprotect, and a handler of SIGSEGV takes that off and
 * notes it. For who has asked for it, since it can be noticed: docs/libgc.md.
 */
#ifndef OS_LINUX_WATCH_FAULTS_H
#define OS_LINUX_WATCH_FAULTS_H

#include "os/watch.h"

/* Installs the handler, if it is not there. */
bool faults_open(void);

/* Nothing is protected any more, and the handler goes unless somebody has put theirs over it. */
void faults_close(void);

/* This range, and no other. */
bool faults_add(uintptr_t start, size_t size);

/* All of start..end counts as written. False: nothing will be protected, since a thread could not bear a fault, or the
 * handler is not ours any more. */
bool faults_begin(uintptr_t start, uintptr_t end);

/* See os_watch_again, os_watch_end, os_watch_take, os_watch_fault. */
void faults_again(uintptr_t start, uintptr_t end);
void faults_end(void);
size_t faults_take(uintptr_t *from, uintptr_t end, struct os_range *ranges, size_t most);
bool faults_serve(uintptr_t address);

#endif
