/*
 * report: what a misuse of memory was, said once, whole, and so that a person can mend it: one block of text on
 * standard error, the same as one JSON object where option report leads, a hook for crash reporters, abort.
 *
 * The heap may be in any state, any lock may be held, and a signal handler may be what runs: nothing here
 * allocates, takes a lock of the heap's, or reads memory of the program's without having asked whether it
 * is there. The text is put together in static memory, under a lock of its own: who reports at the same time
 * waits, and by abort for ever. A misuse within a report ends the process with a line.
 *
 *     hard_report -> facts_gather  (report.c)         what the heap knows of the block and its neighbours
 *                    report_sentence (report_say.c)   what was done
 *                    report_text, report_json         the same facts, twice
 *                    written, hook, abort
 */
#ifndef HARD_REPORT_H
#define HARD_REPORT_H

#include "base/format.h"
#include "hard/hard.h"
#include "hard/stack.h"
#include "os/fault.h"

/* What was done, and the word for it that programs read. The words never change. */
#define HARD_FAULTS(X)                                                                             \
    X(HARD_DOUBLE_FREE, "double-free")      /* free of a freed block */                            \
    X(HARD_NOT_A_BLOCK, "bad-pointer")      /* a call was given what is no block */                \
    X(HARD_USE_FREED, "use-of-freed")       /* realloc, malloc_usable_size of a freed one */       \
    X(HARD_KIND, "kind-mismatch")           /* new and free, malloc and delete ... */              \
    X(HARD_SIZE, "size-mismatch")           /* sized free with another size */                     \
    X(HARD_ALIGNMENT, "alignment-mismatch") /* aligned free with another alignment */              \
    X(HARD_OVERFLOWED, "overflow")          /* what lies behind a block was changed */             \
    X(HARD_NEIGHBOUR_OVERFLOWED,                                                                   \
      "neighbour-overflow")                     /* the same, found at its right neighbour */       \
    X(HARD_UNDERFLOWED, "underflow")            /* what lies in front of a block was changed */    \
    X(HARD_WRITTEN_FREED, "write-after-free")   /* a freed block was changed */                    \
    X(HARD_CHECKED, "checked-call")             /* a libc call would go beyond a block */          \
    X(HARD_TOUCHED_FREED, "use-after-free")     /* fault in a freed block */                       \
    X(HARD_TOUCHED_BEHIND, "overflow-access")   /* fault behind a block */                         \
    X(HARD_TOUCHED_FRONT, "underflow-access")   /* fault in front of a block */                    \
    X(HARD_TOUCHED_NONE, "wild-access")         /* fault in memory of ours that is no block */     \
    X(HARD_UNINITIALISED, "uninitialised-read") /* read before anything was written there */       \
    X(HARD_NO_ENTROPY, "no-entropy")            /* the kernel has no random numbers */             \
    X(HARD_METADATA, "damaged-records")         /* our own records are not what they were */       \
    X(HARD_NO_MEMORY, "no-memory")              /* by option: a refusal is fatal */                \
    X(HARD_ZONE, "zone-rule")                   /* a private zone's; .right: enum zone_rule */

#define HARD_FAULT_ENUM(name, word) name,
enum hard_what { HARD_FAULTS(HARD_FAULT_ENUM) HARD_WHATS };
#undef HARD_FAULT_ENUM

struct sample_block;

struct hard_fault {
    enum hard_what what;
    const char *call;    /* "free", "memcpy"; NULL: the memory was touched */
    const void *address; /* that the call was given, or that was touched */
    size_t
        size; /* that the call said: sized free, alignment, bytes of a checked call, SIZE_MAX: on and
                    on; else 0 */
    size_t
        right; /* what it should have been: size or alignment of the block (0: not known), bytes that are there */
    unsigned kind; /* enum slot_kind, of the call */
    enum os_access access;
    const struct slot *slot; /* the block concerned; NULL: none, or it is the one at `address` */
    const struct sample_block *sample; /* the same for a sampled one */
    const void *context;               /* a signal handler's: the stack is told from there on */
    bool unasked; /* nobody called for this look: nobody is exempt from it (exempt.h) */
    bool
        by_helper; /* told in a thread that libc does not know: it has no stack to tell of, and no hook runs there if the
                       program is to go on */
    uintptr_t
        caller; /* return address of a checked call: the stack is told from there on; 0: not */
};

/* Returns only under report_config.go_on, or if the caller is exempt. */
FH_COLD void hard_report(const struct hard_fault *fault);

struct report_config {
    bool go_on; /* option bad_free=ignore; may change at any time */
    int fd;     /* of option report; -1 none */
    bool
        confined; /* the process has locked itself in (seccomp): no file is opened that need not be */
};
extern struct report_config report_config;

/* At the start: opens `path` (NULL: none) for the JSON, a file to append to or a pipe that somebody reads.
 * False, if it cannot. Remembers what the program is called. */
bool report_start(const char *path);
void report_fork_child(void);

/* The program's path, 256 bytes, for tests. */
char *report_program(void);

/* ---- between its files --------------------------------------------------------------------------- */

#define REPORT_CHANGED 16 /* bytes of a change that are told */
#define REPORT_BYTES 64   /* of what lies around it */

struct report_block {
    uintptr_t start;              /* 0: there is none */
    size_t size, room;            /* of a large block: to the end of its last page */
    bool canary;                  /* ends the room */
    unsigned state, kind, thread; /* thread: its number modulo WORD_THREADS */
    bool told_alignment;          /* live, and its word holds an alignment: `thread` is not known */
    const struct sample_block *sample;
};

struct report {
    struct hard_fault fault;
    struct report_block block, left, right;
    struct {
        size_t count; /* bytes that are not what they were */
        size_t first; /* of them, from the start of the block */
        bool front;   /* `first` is before the start of the block, by so much */
        unsigned told;
        uint8_t bytes[REPORT_CHANGED];
    } changed;
    uint32_t process, thread;
    unsigned here_count;
    uintptr_t here[STACK_MOST];
    uintptr_t bytes_at; /* what lies around: */
    unsigned bytes_count;
    uint8_t bytes[REPORT_BYTES];
    char program[256]; /* its path */
    char sentence[400];
};

extern const char *const report_words[HARD_WHATS];
extern const char *const report_kinds[8]; /* of enum slot_kind */

/* "live", "freed", ... */
const char *report_state_word(const struct report_block *block);

/* Puts the sentence together. */
void report_sentence(const struct report *report, struct text *t);
void report_text(const struct report *report, bool goes_on, struct text *t);
/* As much as is told is valid JSON in valid UTF-8, whatever the strings hold. */
void report_json(const struct report *report, struct text *t);

/* What holds an address that is not ours, or not in use: "memory of [stack]", "not mapped" ... */
void report_place(uintptr_t p, struct text *t);

/* The module of a return address, and the address in it as its file has it; NULL: none. `program` stands for
 * the main program. */
const char *report_module(uintptr_t pc, const char *program, uintptr_t *offset);

/* The function at an address of a module's file, cut to fit, and how far into it; "" if it cannot be told. */
#define REPORT_NAME 100
size_t report_symbol(const char *path, uintptr_t address, char *name, size_t capacity);
void report_symbols_close(void);

/* The instruction of a frame: the call in front of a return address, or where a signal interrupted. Debuggers find its
 * line, and not the next one's. */
uintptr_t report_call_site(const struct report *report, uintptr_t pc);

/* How many of a stack's innermost frames are the library's own. */
unsigned report_own_frames(const uintptr_t *pcs, unsigned count);

#endif
