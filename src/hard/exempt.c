/* See exempt.h. */
#include "hard/exempt.h"

#include <string.h>

#include "os/os.h"

static struct exempt_rules rules;

#define EXEMPT_WORD(name, word) word,
static const char *const group_words[] = {EXEMPT_GROUPS(EXEMPT_WORD)};
#undef EXEMPT_WORD

/* ---- the text --------------------------------------------------------------------------------------------- */

struct piece {
    const char *at;
    size_t length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of *rest, which is shortened by it; empty at the end. */
static struct piece word_next(struct piece *rest)
{
    while (rest->length && is_blank(*rest->at)) rest->at++, rest->length--;
    struct piece word = {rest->at, 0};
    while (rest->length && !is_blank(*rest->at)) rest->at++, rest->length--, word.length++;
    return word;
}

static bool piece_is(struct piece piece, const char *text)
{
    return strlen(text) == piece.length && memcmp(piece.at, text, piece.length) == 0;
}

static bool piece_copy(struct piece piece, char *to, size_t capacity)
{
    if (piece.length == 0 || piece.length >= capacity || memchr(piece.at, 0, piece.length))
        return false;
    memcpy(to, piece.at, piece.length);
    to[piece.length] = 0;
    return true;
}

/* 0x and at most 16 digits; not 0. */
static bool piece_hex(struct piece piece, uintptr_t *value)
{
    *value = 0;
    if (piece.length < 3 || piece.length > 18 || memcmp(piece.at, "0x", 2) != 0) return false;
    for (size_t i = 2; i < piece.length; i++) {
        unsigned c = (unsigned char)piece.at[i], digit = c - '0';
        if (digit >= 10) digit = (c | 0x20) >= 'a' ? (c | 0x20) - 'a' + 10 : 16;
        if (digit >= 16) return false;
        *value = *value << 4 | digit;
    }
    return *value != 0;
}

/* LIBRARY+0xOFFSET or LIBRARY:FUNCTION; the last of the signs parts them. */
static const char *site_parse(struct piece word, struct exempt_rule *rule)
{
    size_t n = word.length;
    while (n && word.at[n - 1] != '+' && word.at[n - 1] != ':') n--;
    if (n == 0) return "says no LIBRARY+0xOFFSET and no LIBRARY:FUNCTION";
    struct piece rest = {word.at + n, word.length - n};
    bool right = word.at[n - 1] == '+' ? piece_hex(rest, &rule->offset)
                                       : piece_copy(rest, rule->function, sizeof rule->function);
    if (!right) return "has no offset 0x... or function behind its library";
    return piece_copy((struct piece){word.at, n - 1}, rule->library, sizeof rule->library)
               ? NULL
               : "has no library, or too long a one";
}

static const char *groups_parse(struct piece rest, uint32_t *groups)
{
    const uint32_t all = (1u << EXEMPT_ALL) - 1;
    for (struct piece word; (word = word_next(&rest)).length;) {
        uint32_t bit = piece_is(word, "all") ? all : 0;
        for (unsigned g = 0; g < EXEMPT_ALL; g++)
            if (piece_is(word, group_words[g])) bit = 1u << g;
        if (bit == 0) return "names no group: frees, kinds, sizes, canary, calls, access or all";
        *groups |= bit;
    }
    if (*groups == 0) *groups = all;
    return NULL;
}

/* NULL, or what is wrong. */
static const char *rule_parse(struct piece line, struct exempt_rule *rule)
{
    struct piece verb = word_next(&line), what = word_next(&line);
    const char *why = NULL;
    if (piece_is(verb, "site"))
        why = site_parse(what, rule);
    else if (!piece_is(verb, "library"))
        why = "begins neither with library nor with site";
    else if (!piece_copy(what, rule->library, sizeof rule->library))
        why = "has no library, or too long a one";
    return why ? why : groups_parse(line, &rule->groups);
}

static void line_take(struct exempt_rules *to, struct piece line, unsigned number,
                      exempt_complain *complain)
{
    struct piece rest = line, first = word_next(&rest);
    struct exempt_rule rule = {.line = number};
    if (first.length == 0 || first.at[0] == '#') return;
    const char *why = rule_parse(line, &rule);
    if (why == NULL && to->count == EXEMPT_RULES) why = "is one rule too many";
    if (why)
        complain(number, line.at, line.length, why);
    else
        to->rule[to->count++] = rule;
}

void exempt_parse(struct exempt_rules *to, const char *text, size_t length,
                  exempt_complain *complain)
{
    unsigned number = 0;
    for (size_t start = 0; start < length;) {
        const char *end = memchr(text + start, '\n', length - start);
        size_t n = end ? (size_t)(end - text) - start : length - start;
        line_take(to, (struct piece){text + start, n}, ++number, complain);
        start += n + 1;
    }
}

/* What is too long is not guessed at: half a line might be another rule. */
void exempt_start(const char *path, exempt_complain *complain)
{
    static char text[EXEMPT_BYTES + 1];
    size_t length = 0;
    long n = 0;
    int fd = os_file_open(path);
    if (fd < 0) {
        complain(0, path, strlen(path), "cannot be opened");
        return;
    }
    while (length < sizeof text && (n = os_file_read(fd, text + length, sizeof text - length)) > 0)
        length += (size_t)n;
    os_file_close(fd);
    if (n < 0)
        complain(0, path, strlen(path), "cannot be read");
    else if (length > EXEMPT_BYTES)
        complain(0, path, strlen(path), "is longer than 16 KiB");
    else
        exempt_parse(&rules, text, length, complain);
}

/* ---- who is meant ------------------------------------------------------------------------------------------- */

/* Goes back to the last * alone: at most pattern times text steps. */
bool exempt_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == 0;
}

static bool library_is(const char *pattern, const char *path)
{
    const char *name = strrchr(path, '/');
    return exempt_glob(pattern, strchr(pattern, '/') || name == NULL ? path : name + 1);
}

struct caller {
    const char *path;
    uintptr_t offset;  /* of the call, as reports have it */
    uintptr_t returns; /* where it returns to */
    uint64_t module;   /* its path's hash */
    bool asked;        /* for the function: */
    uintptr_t into;
    char function[REPORT_NAME];
};

static bool caller_find(const struct report *r, struct caller *caller)
{
    *caller = (struct caller){.module = 0xcbf29ce484222325};
    if (r->here_count == 0) return false;
    uintptr_t site = report_call_site(r, r->here[0]);
    caller->path = report_module(site, r->program, &caller->offset);
    if (caller->path == NULL) return false;
    caller->returns = caller->offset + (r->here[0] - site);
    for (const char *c = caller->path; *c; c++)
        caller->module = (caller->module ^ (unsigned char)*c) * 0x100000001b3;
    return true;
}

/* Functions are looked up in files: once for all rules, and not again for calls from where one was found. */
static bool function_is(struct exempt_rule *rule, struct caller *caller)
{
    if (rule->module == caller->module && caller->offset - rule->from <= rule->to - rule->from)
        return true;
    if (!caller->asked)
        caller->into =
            report_symbol(caller->path, caller->offset, caller->function, sizeof caller->function);
    caller->asked = true;
    if (strcmp(caller->function, rule->function) != 0) return false;
    rule->module = caller->module;
    rule->from = caller->offset - caller->into;
    rule->to = caller->offset;
    return true;
}

static bool rule_holds(struct exempt_rule *rule, struct caller *caller, uint32_t groups)
{
    if (!(rule->groups & groups) || !library_is(rule->library, caller->path)) return false;
    if (rule->offset) return rule->offset == caller->offset || rule->offset == caller->returns;
    return rule->function[0] == 0 || function_is(rule, caller);
}

/* Accesses are let pass where the page can be opened for them. */
static uint32_t groups_of(const struct hard_fault *fault)
{
    switch (fault->what) {
    case HARD_DOUBLE_FREE:
    case HARD_NOT_A_BLOCK: return 1u << EXEMPT_FREES;
    case HARD_USE_FREED: return fault->caller ? 1u << EXEMPT_CALLS : 1u << EXEMPT_FREES;
    case HARD_KIND: return 1u << EXEMPT_KINDS;
    case HARD_SIZE:
    case HARD_ALIGNMENT: return 1u << EXEMPT_SIZES;
    case HARD_OVERFLOWED:
    case HARD_NEIGHBOUR_OVERFLOWED:
    case HARD_UNDERFLOWED:
    case HARD_WRITTEN_FREED: return 1u << EXEMPT_CANARY;
    case HARD_CHECKED: return 1u << EXEMPT_CALLS;
    case HARD_TOUCHED_FREED:
    case HARD_TOUCHED_BEHIND:
    case HARD_TOUCHED_FRONT:
    case HARD_UNINITIALISED: return fault->sample ? 1u << EXEMPT_ACCESS : 0;
    default: return 0;
    }
}

/* ---- a report ------------------------------------------------------------------------------------------------ */

static void rule_say(const struct exempt_rule *rule, const struct report *r, const char *path,
                     uintptr_t offset)
{
    char line[600];
    struct text t = TEXT(line);
    text_str(&t, "freehold: ");
    text_str(&t, report_words[r->fault.what]);
    text_str(&t, " in ");
    text_str(&t, r->fault.call ? r->fault.call : "memory");
    text_str(&t, " from ");
    text_strn(&t, path, base_min(strlen(path), 300));
    text_str(&t, "+");
    text_hex(&t, offset);
    text_str(&t, " ignored, as line ");
    text_dec(&t, rule->line);
    text_str(&t, " of option exempt says; further ones without a word\n");
    os_write(2, line, t.length);
}

static struct exempt_rule *rule_find(struct caller *caller, uint32_t which)
{
    for (unsigned i = 0; i < rules.count; i++)
        if (rule_holds(&rules.rule[i], caller, which)) return &rules.rule[i];
    return NULL;
}

bool exempt_report(const struct report *r)
{
    struct caller caller;
    uint32_t groups = rules.count && !r->fault.unasked ? groups_of(&r->fault) : 0;
    if (groups == 0 || !caller_find(r, &caller)) return false;
    struct exempt_rule *rule = rule_find(&caller, groups);
    report_symbols_close();
    if (rule == NULL) return false;
    if (rule->count == 0) rule_say(rule, r, caller.path, caller.offset);
    __atomic_store_n(&rule->count, rule->count + 1, __ATOMIC_RELAXED);
    return true;
}

uint64_t exempt_count(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < rules.count; i++)
        sum += __atomic_load_n(&rules.rule[i].count, __ATOMIC_RELAXED);
    return sum;
}
