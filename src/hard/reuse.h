#ifndef HARD_REUSE_H
#define HARD_REUSE_H
#include "hard/hard.h"
void reuse_start(void);
void reuse_add(uintptr_t start, slot_word *word, size_t bytes);
void reuse_thread_end(void);
void reuse_fork_prepare(void); void reuse_fork_parent(void); void reuse_fork_child(void);
#endif
