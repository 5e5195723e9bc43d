/* Where the library lies that `freehold run` preloads. */
#ifndef CLI_LIBRARY_H
#define CLI_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* FREEHOLD_LIBRARY, else ../lib/libfreehold.so.1 beside this command; the hardened one beside that, unless
 * FREEHOLD_LIBRARY is a hardened one itself. False, with a sentence in
 * `why`, if it is not there, is not libfreehold, or cannot be named in LD_PRELOAD. */
bool library_locate(bool hardened, char *path, size_t capacity, char *why, size_t why_capacity);

#define LIBRARY_HARDENED "libfreehold-hardened.so.1"
#define LIBRARY_CALLS "libfreehold-hardened-calls.so.1"

/* LIBRARY_CALLS, beside the hardened one that was found. False, with a sentence, if it is not there. */
bool library_locate_calls(const char *hardened, char *path, size_t capacity, char *why,
                          size_t why_capacity);

#endif
