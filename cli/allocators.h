/*
 * The allocators that we can tell apart, and by what.
 *
 * What betrays an allocator is a name that only it has: a function of its own API, a mangled
 * namespace, the file name of its library. `malloc` itself says nothing: everybody exports it, and
 * several export __libc_malloc too. In stripped static programs, where no names are left, a message
 * text may still be there; then the answer is only likely.
 */
#ifndef CLI_ALLOCATORS_H
#define CLI_ALLOCATORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_image.h"

/* Functions that must come from one owner; bit i of a `functions` mask is name i. */
enum { FUNCTION_MALLOC, FUNCTION_CALLOC, FUNCTION_REALLOC, FUNCTION_FREE, FUNCTION_COUNT = 8 };
extern const char *const allocator_functions[FUNCTION_COUNT];

enum {
    ALLOCATOR_NONE = -1,
    ALLOCATOR_FREEHOLD = 0,
    ALLOCATOR_LIBGC = 1 /* Freehold's libgc.so.1 */
};

/* What an ELF image says about allocation. */
struct allocator_signs {
    uint64_t allocators; /* bit i: allocator i is in it */
    uint32_t exported;   /* functions that other modules can bind to */
    uint32_t defined;    /* functions that it has at all */
    bool symbol_table;   /* .symtab is there: what was not found is not there */
    bool likely;         /* `allocators` rests on message texts */
    uint64_t registry;   /* address of fh_registry as in the file; 0 none */
};

/* `name` is the file's name, for libraries known by it; "" if not known. */
void allocator_signs_read(struct allocator_signs *signs, const struct elf_image *image,
                          const char *name);

/* Looks for message texts in a file without symbols; sets `likely`. */
void allocator_signs_guess(struct allocator_signs *signs, const struct elf_image *image);

/* The allocator to name first if there are several in one file; ALLOCATOR_NONE if there is none. */
int allocator_first(uint64_t allocators);

/* The same for a static program. If glibc's own malloc was linked in, nobody replaced it: the linker
 * takes it from the archive only if no other `malloc` was there before. */
int allocator_of_static(uint64_t allocators);
const char *allocator_name(int allocator);

/* It checks or records and hands the calls on to the allocator below it. */
bool allocator_is_wrapper(int allocator);

/* It diverts the calls whoever exports the functions: Valgrind runs the program on its own terms. */
bool allocator_is_redirector(int allocator);

/* A sanitizer's runtime, which must own malloc from the first call on. */
bool allocator_is_sanitizer(int allocator);

#endif
