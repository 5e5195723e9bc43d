/*
 * The ledger: every resident byte of a process, by who owns it. The rows add up to what the kernel
 * counts as resident, mapping by mapping.
 *
 *     areas     what is mapped and how much of it is resident     smaps.c
 *     owners    to whom an area belongs                           ledger_owner.c
 *     heap      the arena of Freehold, divided further            heap_pages.c
 *               glibc's heaps, chunk by chunk                      glibc_pages.c
 *     beside    what is not part of RSS: page tables, swap        ledger.c
 *
 * glibc's heaps are known by their place: the program break, arenas at multiples of 64 MiB, large blocks
 * by the header in front of them. What is found by walking their chunks is taken out of those rows and
 * put into others; what could not be walked stays.
 */
#ifndef CLI_LEDGER_H
#define CLI_LEDGER_H

#include "glibc_pages.h"
#include "heap_pages.h"
#include "smaps.h"
#include "verdict.h"

enum owner {
    OWNER_LIVE, /* of Freehold's heap */
    OWNER_LISTS,
    OWNER_REMOTE,
    OWNER_QUARANTINE,
    OWNER_PARTLY,
    OWNER_SPANS,
    OWNER_META,
    OWNER_GC,
    OWNER_ARENA_UNKNOWN,
    OWNER_GLIBC_LIVE, /* of glibc's heaps */
    OWNER_GLIBC_BETWEEN,
    OWNER_GLIBC_CACHED,
    OWNER_GLIBC_TOP,
    OWNER_GLIBC_OWN,
    OWNER_BREAK,      /* the program break, [heap], as far as it is not divided */
    OWNER_ARENAS,     /* glibc's, of threads */
    OWNER_MMAPPED,    /* glibc's large blocks */
    OWNER_MAIN_STACK, /* of the first thread */
    OWNER_STACKS,     /* of the others */
    OWNER_CODE,
    OWNER_CONSTANTS, /* read-only data of programs and libraries */
    OWNER_DATA,      /* their variables */
    OWNER_FILES,
    OWNER_SHARED, /* memory shared by name or by fork */
    OWNER_DEVICES,
    OWNER_NAMED, /* anonymous, and somebody gave it a name */
    OWNER_ANONYMOUS,
    OWNER_KERNEL, /* vdso and the like */
    OWNERS
};

enum { ARENAS_MAX = 8 };

struct row {
    uint64_t bytes;
    uint64_t count;  /* mappings, or blocks and spans of a heap */
    uint64_t absent; /* bytes of glibc's chunks that are not resident */
};

struct ledger {
    struct process process;
    struct verdict verdict;
    struct smaps smaps;
    uint8_t *owner; /* of each area; OWNER_LIVE for all of our arena */
    struct row rows[OWNERS];
    uint64_t resident;        /* sum of the rows */
    uint64_t kernel_resident; /* by the kernel's own sum, read right after */
    uint64_t page_tables, swap, hugetlb, threads;
    uint64_t shared; /* of the resident: pages that other processes have too */
    uint64_t huge;   /* of the resident: in transparent huge pages */
    uint64_t
        huge_zero; /* of those: bytes in 4 KiB pieces that hold only zeros; an estimate if sampled */
    bool huge_sampled;
    bool is_freehold;                /* its malloc is ours */
    enum heap_view_error heap_error; /* of the malloc's arena, if it is */
    bool has_heap;                   /* at least one arena could be read, */
    struct heap_pages heap;          /* and this is the sum of all that were */
    struct heap_range
        arenas[ARENAS_MAX]; /* the library may be there twice: as malloc and in libgc.so.1 */
    size_t arena_count;
    bool is_glibc;    /* its malloc is glibc's */
    bool has_glibc;   /* and its heaps were divided */
    bool glibc_large; /* they were not: too large to be read here */
    struct glibc_pages glibc;
    struct pages pages;
    uint64_t took_ns; /* to read it all */
};

/* 0, or the status of the refusal after its line, in which `command` is as in "map". ledger_finish in any
 * case. */
int ledger_read(struct ledger *ledger, pid_t pid, const char *command, int refused);
void ledger_finish(struct ledger *ledger);

/* The name of a row as the text shows it, and as JSON does; what it counts, in words. */
struct owner_form {
    const char *label, *key, *what;
};
extern const struct owner_form owner_forms[OWNERS];

/* The stack pointer in /proc/PID/task/TID/syscall: "202 0x7f.. ... 0xSP 0xPC", "-1 0xSP 0xPC"; false if
 * it is another text, as "running". */
bool stack_pointer_parse(const char *text, size_t size, uint64_t *pointer);

/* Gives every area its owner; false if memory is out. */
bool ledger_assign(struct ledger *ledger);

#endif
