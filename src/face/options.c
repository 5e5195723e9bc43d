/* Options: one table (options.def), one parser. No allocation, no libc: it runs in the first malloc. */
#include <errno.h>

#include "base/format.h"
#include "face/face.h"
#include "os/os.h"
#include "span/purger.h"

enum option_type { BOOL, NUMBER, SIZE, CHOICE, FLAGS, PATH };
enum option_when { START, RUN, HARDENED };

struct option {
    const char *name;
    enum option_type type;
    enum option_when when;
    int64_t standard, smallest, largest;
    int64_t *value;
    const char *unit, *sentence;
};

#define OPTION(name, type, standard, smallest, largest, when, unit, sentence) .name = (standard),
struct options options = {
#include "face/options.def"
};
#undef OPTION

#define OPTION(name, type, standard, smallest, largest, when, unit, sentence)                      \
    {#name, type, when, (standard), (smallest), (largest), &options.name, unit, sentence},
static const struct option table[] = {
#include "face/options.def"
};
#undef OPTION

#define OPTIONS (sizeof table / sizeof table[0])

/* ---- text ---------------------------------------------------------------------------------------- */

struct word {
    const char *at;
    size_t length;
};

static bool word_is(struct word word, const char *text)
{
    size_t i = 0;
    while (i < word.length && text[i] && word.at[i] == text[i]) i++;
    return i == word.length && text[i] == 0;
}

static struct word word_of(const char *text)
{
    size_t length = 0;
    while (text[length]) length++;
    return (struct word){text, length};
}

/* The part of *rest before `stop`, which is skipped. */
static struct word word_until(struct word *rest, char stop)
{
    struct word word = {rest->at, 0};
    while (word.length < rest->length && rest->at[word.length] != stop) word.length++;
    size_t skip = word.length < rest->length ? word.length + 1 : word.length;
    rest->at += skip;
    rest->length -= skip;
    return word;
}

static const struct option *option_find(struct word name)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (word_is(name, table[i].name)) return &table[i];
    return NULL;
}

bool options_hardened = POLICY_IS_HARDENED;

static bool option_is_ours(const struct option *option)
{
    return option->when != HARDENED || options_hardened;
}

/* ---- values --------------------------------------------------------------------------------------- */

static bool parse_bool(struct word word, int64_t *value)
{
    bool yes =
        word_is(word, "1") || word_is(word, "yes") || word_is(word, "on") || word_is(word, "true");
    bool no =
        word_is(word, "0") || word_is(word, "no") || word_is(word, "off") || word_is(word, "false");
    *value = yes;
    return yes || no;
}

/* 17, or with a size's suffix 64K, 512MiB, 1.5 is not one. */
static bool parse_number(struct word word, bool suffix, int64_t *value)
{
    size_t i = 0;
    uint64_t n = 0;
    for (; i < word.length && word.at[i] >= '0' && word.at[i] <= '9'; i++) {
        if (n > (uint64_t)INT64_MAX / 10 - 1) return false;
        n = n * 10 + (uint64_t)(word.at[i] - '0');
    }
    if (i == 0) return false;
    struct word unit = {word.at + i, word.length - i};
    if (unit.length > 0 && suffix) {
        static const char letters[] = "KMGT";
        unsigned power = 0;
        while (power < 4 && (unit.at[0] & ~0x20) != letters[power]) power++;
        if (power == 4 || n > (uint64_t)INT64_MAX >> (10 * (power + 1))) return false;
        n <<= 10 * (power + 1);
        unit.at++;
        unit.length--;
        if (word_is(unit, "iB") || word_is(unit, "B")) unit.length = 0;
    }
    *value = (int64_t)n;
    return unit.length == 0;
}

/* One of the words of unit, "abort|ignore"; the value is its place. */
static bool parse_choice(struct word word, const char *choices, int64_t *value)
{
    struct word rest = word_of(choices);
    for (*value = 0; rest.length; ++*value) {
        struct word choice = word_until(&rest, '|');
        bool same = choice.length == word.length;
        for (size_t i = 0; same && i < word.length; i++) same = choice.at[i] == word.at[i];
        if (same) return true;
    }
    return false;
}

/* Some of the words of unit, "verify+poison", or 0; the value has a bit for each by its place. */
static bool parse_flags(struct word word, const char *choices, int64_t *value)
{
    *value = 0;
    if (word_is(word, "0")) return true;
    bool good = word.length > 0 && word.at[word.length - 1] != '+';
    while (good && word.length) {
        int64_t bit;
        good = parse_choice(word_until(&word, '+'), choices, &bit);
        if (good) *value |= (int64_t)1 << bit;
    }
    return good;
}

enum { PATH_SIZE = sizeof options.run_file_path };
static_assert(sizeof options.oom_path == PATH_SIZE, "one message for all");
static_assert(sizeof options.report_path == PATH_SIZE, "one message for all");
static_assert(sizeof options.exempt_path == PATH_SIZE, "one message for all");

static char *option_path(const struct option *option)
{
    if (option->value == &options.report) return options.report_path;
    if (option->value == &options.exempt) return options.exempt_path;
    return option->value == &options.oom ? options.oom_path : options.run_file_path;
}

static bool parse_path(struct word word, char *path, int64_t *value)
{
    if (word.length == 0 || word.length >= PATH_SIZE) return false;
    for (size_t i = 0; i < word.length; i++) path[i] = word.at[i];
    path[word.length] = 0;
    *value = 1;
    return true;
}

static bool option_parse(const struct option *option, struct word word, int64_t *value)
{
    switch (option->type) {
    case BOOL: return parse_bool(word, value);
    case CHOICE: return parse_choice(word, option->unit, value);
    case FLAGS: return parse_flags(word, option->unit, value);
    case PATH: return parse_path(word, option_path(option), value);
    case NUMBER:
    case SIZE: break;
    }
    if (!parse_number(word, option->type == SIZE, value)) return false;
    return *value >= option->smallest && *value <= option->largest;
}

static void flags_print(struct text *t, const char *choices, int64_t value)
{
    struct word rest = word_of(choices);
    if (value == 0) text_char(t, '0');
    for (; value; value >>= 1) {
        struct word choice = word_until(&rest, '|');
        if (!(value & 1)) continue;
        text_strn(t, choice.at, choice.length);
        if (value > 1) text_char(t, '+');
    }
}

/* Sizes with their unit for a person, in bytes for a program. */
static void option_print(struct text *t, const struct option *option, bool person)
{
    int64_t value = __atomic_load_n(option->value, __ATOMIC_RELAXED);
    struct word rest = word_of(option->unit), choice = rest;
    switch (option->type) {
    case BOOL: text_str(t, value ? "1" : "0"); break;
    case NUMBER:
    case SIZE:
        if (value < 0)
            text_str(t, "level");
        else
            (person && option->type == SIZE ? text_size_exact : text_dec)(t, (uint64_t)value);
        break;
    case CHOICE:
        for (int64_t i = 0; i <= value; i++) choice = word_until(&rest, '|');
        text_strn(t, choice.at, choice.length);
        break;
    case FLAGS: flags_print(t, option->unit, value); break;
    case PATH: text_str(t, option_path(option)); break;
    }
}

/* ---- messages -------------------------------------------------------------------------------------- */

static bool mistaken; /* anything was wrong so far */

static void option_print_right(struct text *t, const struct option *option)
{
    void (*print)(struct text *, uint64_t) = option->type == SIZE ? text_size_exact : text_dec;
    text_str(t, ": use ");
    switch (option->type) {
    case BOOL: text_str(t, "0 or 1"); break;
    case CHOICE: text_str(t, option->unit); break;
    case FLAGS:
        text_str(t, "0, or of ");
        text_str(t, option->unit);
        text_str(t, " some joined by +");
        break;
    case PATH:
        text_str(t, "a path of at most ");
        text_dec(t, PATH_SIZE - 1);
        text_str(t, " bytes");
        break;
    case NUMBER:
    case SIZE:
        print(t, (uint64_t)option->smallest);
        text_str(t, " to ");
        print(t, (uint64_t)option->largest);
        break;
    }
}

/* One line: where, what, why, what would be right (of `option`, unless that is NULL), and what
 * follows. */
static void option_complain(const char *source, struct word what, const char *why,
                            const struct option *option, const char *hint)
{
    char line[400];
    struct text t = TEXT(line);
    text_str(&t, "freehold: ");
    text_str(&t, source);
    text_str(&t, ": '");
    text_strn(&t, what.at, base_min(what.length, 80));
    text_str(&t, "' ");
    text_str(&t, why);
    if (option) option_print_right(&t, option);
    text_str(&t, options.strict ? "; stopping (option strict=1)" : "; ignored");
    text_str(&t, hint);
    text_char(&t, '\n');
    os_write(2, line, t.length);
    mistaken = true;
}

void options_refuse(const char *name, const char *value, const char *why)
{
    option_complain(name, word_of(value), why, NULL, "");
}

void options_refuse_exempt(unsigned line, const char *text, size_t length, const char *why)
{
    char source[40];
    struct text t = TEXT(source);
    text_str(&t, "exempt");
    if (line) text_str(&t, ", line ");
    if (line) text_dec(&t, line);
    text_end(&t);
    option_complain(source, (struct word){text, length}, why, NULL, "");
}

static void options_help(void)
{
    char line[400];
    for (size_t i = 0; i < OPTIONS; i++) {
        struct text t = TEXT(line);
        if (!option_is_ours(&table[i])) continue;
        text_str(&t, table[i].name);
        text_char(&t, '=');
        option_print(&t, &table[i], true);
        while (t.length < 28) text_char(&t, ' ');
        text_str(&t, table[i].sentence);
        if (table[i].unit[0]) {
            text_str(&t, " [");
            text_str(&t, table[i].unit);
            text_char(&t, ']');
        }
        text_char(&t, '\n');
        os_write(2, line, t.length);
    }
}

/* ---- the door --------------------------------------------------------------------------------------- */

static void option_apply(const struct option *option, int64_t value)
{
    __atomic_store_n(option->value, value, __ATOMIC_RELAXED);
    policy_options();
    purger.enabled = options.purge;
    purger.delay_ms = (uint64_t)options.purge_delay;
    fh_registry.purge_delay_ms = purger.delay_ms;
}

static void option_take(struct word entry, const char *source)
{
    struct word value = entry, name = word_until(&value, '=');
    const struct option *option = option_find(name);
    int64_t parsed;
    if (word_is(entry, "help")) {
        options_help();
        return;
    }
    if (option == NULL) {
        option_complain(source, name, "is no option", NULL, " (FREEHOLD_OPTIONS=help lists them)");
        return;
    }
    if (!option_is_ours(option)) {
        option_complain(source, name,
                        "is an option of libfreehold-hardened.so.1, and this is libfreehold.so.1",
                        NULL, " (freehold run --hardened runs a program on it)");
        return;
    }
    if (name.length == entry.length && option->type == BOOL) value = word_of("1");
    if (option_parse(option, value, &parsed))
        option_apply(option, parsed);
    else
        option_complain(source, entry, "has a bad value", option, "");
}

void options_parse(const char *text, const char *source)
{
    struct word rest = word_of(text);
    while (rest.length) {
        struct word entry = word_until(&rest, ',');
        if (entry.length) option_take(entry, source);
    }
}

/* What follows from a mistake is said with it, and must not depend on which comes first. */
static void strict_look_ahead(const char *text)
{
    struct word rest = word_of(text);
    while (rest.length) {
        struct word value = word_until(&rest, ','), entry = value, name = word_until(&value, '=');
        int64_t strict;
        if (!word_is(name, "strict")) continue;
        if (parse_bool(name.length == entry.length ? word_of("1") : value, &strict))
            options.strict = strict;
    }
}

void options_read(void)
{
    const char *program = &freehold_options ? freehold_options : NULL;
    const char *environment = os_environment("FREEHOLD_OPTIONS");
    option_apply(&table[0], options.purge);
    if (program) strict_look_ahead(program);
    if (environment) strict_look_ahead(environment);
    if (program) options_parse(program, "freehold_options");
    if (environment) options_parse(environment, "FREEHOLD_OPTIONS");
}

void options_stop_if_strict(void)
{
    if (mistaken && options.strict) base_abort();
}

/* Whoever asks before the first allocation gets the value that will hold, and what is set then stays. */
PUBLIC int fh_option_get(const char *key, char *text, size_t capacity)
{
    face_start();
    const struct option *option = option_find(word_of(key));
    if (option == NULL || !option_is_ours(option)) return -ENOENT;
    struct text t = {text, 0, capacity};
    option_print(&t, option, false);
    if (t.length >= capacity) return -ENOSPC;
    text[t.length] = 0;
    return 0;
}

PUBLIC int fh_option_set(const char *key, const char *value)
{
    face_start();
    const struct option *option = option_find(word_of(key));
    if (option == NULL || !option_is_ours(option)) return -ENOENT;
    if (option->when != RUN) return -EPERM;
    int64_t parsed;
    if (!option_parse(option, word_of(value), &parsed)) return -EINVAL;
    option_apply(option, parsed);
    return 0;
}
