/*
 * exempt: misuse by programs that are known for it, and that cannot be mended: reports whose caller lies in a library, or
 * at one place in it, are not made. What was wrong is then ignored, as option bad_free=ignore does for all.
 *
 *     # one rule a line, from option exempt
 *     library libold.so*                            everything that it does
 *     library /opt/old/lib/lib?.so kinds sizes        these groups alone
 *     site libplugin.so+0x11a5 canary               as a report's `here` has it, or the return address
 *     site server:legacy_free frees                 a function, where the file has symbols
 *
 * The caller is the innermost frame of the stack that is not the library's own: who called free, say, which for a canary is
 * not who wrote there. Rules are looked at when a report is about to be made, and never before. What nobody called for (a
 * look at all blocks, no entropy, damaged records, a zone's rule) has no exemption.
 *
 * All is static: the text is read once, at the start, before there are threads; rules never change then. What is counted is
 * under the report's lock.
 */
#ifndef HARD_EXEMPT_H
#define HARD_EXEMPT_H

#include "hard/report.h"

#define EXEMPT_RULES 64
#define EXEMPT_BYTES (16 << 10) /* of the text */
#define EXEMPT_NAME 128

/* What a rule may be about; a word each. */
#define EXEMPT_GROUPS(X)                                                                           \
    X(EXEMPT_FREES, "frees")   /* double, bad and stale pointers in calls of malloc's */           \
    X(EXEMPT_KINDS, "kinds")   /* free of what new made ... */                                     \
    X(EXEMPT_SIZES, "sizes")   /* sizes and alignments said to free */                             \
    X(EXEMPT_CANARY, "canary") /* what was written beside a block, or into a freed one */          \
    X(EXEMPT_CALLS, "calls")   /* bounds of checked calls */                                       \
    X(EXEMPT_ACCESS, "access") /* faults in sampled blocks */

#define EXEMPT_ENUM(name, word) name,
enum exempt_group { EXEMPT_GROUPS(EXEMPT_ENUM) EXEMPT_ALL };
#undef EXEMPT_ENUM

struct exempt_rule {
    char library[EXEMPT_NAME];  /* * and ? stand for others; without a / of the name alone */
    char function[REPORT_NAME]; /* "": any */
    uintptr_t offset;           /* 0: any */
    uint32_t groups;            /* a bit each */
    uint32_t line;
    uint64_t count; /* reports that were not made */
    /* Where the function was last seen, so that its file is read once: */
    uint64_t module;
    uintptr_t from, to;
};

struct exempt_rules {
    unsigned count;
    struct exempt_rule rule[EXEMPT_RULES];
};

/* Told of each line that is no rule: what it says, and why not. */
typedef void exempt_complain(unsigned line, const char *text, size_t length, const char *why);

/* Adds the rules of a text. */
void exempt_parse(struct exempt_rules *rules, const char *text, size_t length,
                  exempt_complain *complain);

bool exempt_glob(const char *pattern, const char *text);

/* Reads the file. */
void exempt_start(const char *path, exempt_complain *complain);

/* Whether this report, of which the stack is known, is not to be made; then it is counted, and the first of a rule said in a
 * line. Holds: the report's lock. */
bool exempt_report(const struct report *report);

/* Reports that were not made. */
uint64_t exempt_count(void);

#endif
