/* Whole numbers throughout: a limit of 0.1G is the same everywhere. */
#include <string.h>
#include <strings.h>

#include "amount.h"
#include "cli.h"
#include "file.h"

enum { FRACTION_DIGITS_MAX = 9 };

/* Digits, and a fraction of at most nine, as numerator over a power of ten. */
struct decimal {
    unsigned __int128 numerator;
    uint64_t denominator;
};

static bool decimal_parse(struct decimal *d, const char **at, const char *end)
{
    uint64_t whole, fraction = 0;
    d->denominator = 1;
    if (!parse_dec(at, end, &whole)) return false;
    if (*at < end && **at == '.') {
        const char *point = ++*at;
        /* parse_dec takes no sign and no letter, so what it read were digits. */
        if (!parse_dec(at, end, &fraction) || *at - point > FRACTION_DIGITS_MAX) return false;
        for (; point < *at; point++) d->denominator *= 10;
    }
    d->numerator = (unsigned __int128)whole * d->denominator + fraction;
    return true;
}

/* The power that a unit stands for, or -1: "K", "KB", "KiB" where bytes are meant. */
static int unit_power(const char *unit, bool bytes)
{
    static const char letters[] = "KMGTPE";
    if (!*unit || (bytes && strcasecmp(unit, "B") == 0)) return 0;
    for (int i = 0; letters[i]; i++) {
        if (strncasecmp(unit, &letters[i], 1) != 0) continue;
        const char *rest = unit + 1;
        bool good =
            !*rest || (bytes && (strcasecmp(rest, "B") == 0 || strcasecmp(rest, "iB") == 0));
        return good ? i + 1 : -1;
    }
    return -1;
}

static bool amount_parse(const char *text, unsigned step, uint64_t *amount)
{
    struct decimal d;
    const char *at = text, *end = text + strlen(text);
    if (!decimal_parse(&d, &at, end)) return false;
    int power = unit_power(at, step == 1024);
    if (power < 0) return false;
    for (; power > 0; power--) {
        if (d.numerator >> 100) return false;
        d.numerator *= step;
    }
    d.numerator /= d.denominator;
    *amount = (uint64_t)d.numerator;
    return d.numerator <= UINT64_MAX;
}

bool amount_bytes(const char *text, uint64_t *bytes)
{
    return amount_parse(text, 1024, bytes);
}

bool amount_count(const char *text, uint64_t *count)
{
    return amount_parse(text, 1000, count);
}

bool amount_ms(const char *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    struct decimal d;
    const char *at = text, *end = text + strlen(text);
    if (!decimal_parse(&d, &at, end)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(at, units[i].unit) != 0) continue;
        d.numerator = d.numerator * units[i].ms / d.denominator;
        *ms = (uint64_t)d.numerator;
        return d.numerator > 0 && d.numerator <= UINT64_MAX;
    }
    return false;
}

bool amount_bytes_of(const char *option, const char *text, uint64_t *bytes)
{
    if (amount_bytes(text, bytes)) return true;
    say("--%s: '%s' is no size; write it as 64M, 1.5GiB or 4096", option, text);
    return false;
}

bool amount_count_of(const char *option, const char *text, uint64_t *count)
{
    if (amount_count(text, count)) return true;
    say("--%s: '%s' is no number; write it as 0, 1200 or 10k", option, text);
    return false;
}

bool amount_ms_of(const char *option, const char *text, uint64_t *ms)
{
    if (amount_ms(text, ms)) return true;
    say("--%s: '%s' is no time; write it as 60s, 500ms or 2m", option, text);
    return false;
}
