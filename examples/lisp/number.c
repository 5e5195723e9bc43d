/* See number.h. */
#include "number.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "args.h"

static value integer(int64_t n)
{
    return fits_fixnum(n) ? fixnum(n) : flonum((double)n);
}

value number_add(value a, value b)
{
    if (are_fixnums(a, b)) return integer(fixnum_get(a) + fixnum_get(b));
    return flonum(arg_double(a) + arg_double(b));
}

value number_subtract(value a, value b)
{
    if (are_fixnums(a, b)) return integer(fixnum_get(a) - fixnum_get(b));
    return flonum(arg_double(a) - arg_double(b));
}

value number_multiply(value a, value b)
{
    int64_t product;
    if (are_fixnums(a, b) && !__builtin_mul_overflow(fixnum_get(a), fixnum_get(b), &product))
        return integer(product);
    return flonum(arg_double(a) * arg_double(b));
}

static value number_divide(value a, value b)
{
    if (b == fixnum(0)) fail("division by zero", a);
    if (are_fixnums(a, b) && fixnum_get(a) % fixnum_get(b) == 0)
        return integer(fixnum_get(a) / fixnum_get(b));
    return flonum(arg_double(a) / arg_double(b));
}

int number_compare(value a, value b)
{
    if (are_fixnums(a, b)) {
        int64_t x = fixnum_get(a), y = fixnum_get(b);
        return x < y ? -1 : x > y;
    }
    double x = arg_double(a), y = arg_double(b);
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

/* ---- text ------------------------------------------------------------------------------------------------ */

static bool is_integer_text(const char *text, size_t length, int radix)
{
    size_t at = length > 1 && (text[0] == '-' || text[0] == '+');
    for (; at < length; at++) {
        int c = tolower((unsigned char)text[at]);
        int digit = isdigit(c) ? c - '0' : c >= 'a' ? c - 'a' + 10 : 99;
        if (digit >= radix) return false;
    }
    return true;
}

static value special_parse(const char *text)
{
    if (strcmp(text, "+inf.0") == 0) return flonum(INFINITY);
    if (strcmp(text, "-inf.0") == 0) return flonum(-INFINITY);
    if (strcmp(text, "+nan.0") == 0) return flonum(NAN);
    return FALSE;
}

/* What strtod takes for a number beyond this is none in Scheme: "nan", "0x1p3". */
static bool is_decimal_text(const char *text)
{
    bool digit = false;
    for (; *text; text++) {
        if (isdigit((unsigned char)*text))
            digit = true;
        else if (!strchr("+-.eE", *text) || (strchr("eE", *text) && !digit))
            return false;
    }
    return digit;
}

value number_parse(const char *text, size_t length, int radix)
{
    char copy[400], *end;
    if (length == 0 || length >= sizeof copy || memchr(text, 0, length)) return FALSE;
    memcpy(copy, text, length);
    copy[length] = 0;
    if (!isalnum((unsigned char)copy[0]) && !strchr("+-.", copy[0])) return FALSE;
    if (length == 1 && !isalnum((unsigned char)copy[0])) return FALSE;
    if (is_integer_text(copy, length, radix)) {
        errno = 0;
        long n = strtol(copy, &end, radix);
        if (errno == 0 && fits_fixnum(n)) return fixnum(n);
        return radix == 10 ? flonum(strtod(copy, NULL)) : FALSE;
    }
    if (radix != 10) return FALSE;
    if (!is_decimal_text(copy)) return special_parse(copy);
    double number = strtod(copy, &end);
    return *end == 0 ? flonum(number) : FALSE;
}

static void integer_text(int64_t n, int radix, struct text *text)
{
    char digits[72];
    int at = sizeof digits;
    uint64_t rest = n < 0 ? -(uint64_t)n : (uint64_t)n;
    do {
        digits[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % (unsigned)radix];
        rest /= (unsigned)radix;
    } while (rest);
    if (n < 0) digits[--at] = '-';
    text_add(text, digits + at, sizeof digits - (size_t)at);
}

/* Of 15 to 17 digits as few as read as the same number. */
static void double_text(double number, struct text *text)
{
    char digits[40];
    if (isnan(number)) return text_add(text, "+nan.0", 6);
    if (isinf(number)) return text_add(text, number > 0 ? "+inf.0" : "-inf.0", 6);
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    if (!strpbrk(digits, ".e")) strcat(digits, ".0");
    text_add(text, digits, strlen(digits));
}

void number_text(value number, int radix, struct text *text)
{
    if (is_fixnum(number)) return integer_text(fixnum_get(number), radix, text);
    double_text(flonum_get(number), text);
}

/* ---- sums and comparisons of any number of arguments ------------------------------------------------------- */

static value builtin_add(unsigned argc, value *argv)
{
    value sum = fixnum(0);
    for (unsigned i = 0; i < argc; i++) sum = number_add(sum, argv[i]);
    return sum;
}

static value builtin_multiply(unsigned argc, value *argv)
{
    value product = fixnum(1);
    for (unsigned i = 0; i < argc; i++) product = number_multiply(product, argv[i]);
    return product;
}

static value builtin_subtract(unsigned argc, value *argv)
{
    if (argc == 1) return number_subtract(fixnum(0), argv[0]);
    value rest = argv[0];
    for (unsigned i = 1; i < argc; i++) rest = number_subtract(rest, argv[i]);
    return rest;
}

static value builtin_divide(unsigned argc, value *argv)
{
    if (argc == 1) return number_divide(fixnum(1), argv[0]);
    value rest = argv[0];
    for (unsigned i = 1; i < argc; i++) rest = number_divide(rest, argv[i]);
    return rest;
}

/* Whether each pair of neighbours compares as one of the bits says: 1 less, 2 equal, 4 greater. */
static value compare_all(unsigned argc, value *argv, unsigned wanted)
{
    value result = TRUE;
    if (argc == 1) arg_double(argv[0]);
    for (unsigned i = 0; i + 1 < argc; i++)
        if (!(wanted & 1u << (number_compare(argv[i], argv[i + 1]) + 1))) result = FALSE;
    return result;
}

static value builtin_same(unsigned argc, value *argv)
{
    return compare_all(argc, argv, 2);
}

static value builtin_less(unsigned argc, value *argv)
{
    return compare_all(argc, argv, 1);
}

static value builtin_greater(unsigned argc, value *argv)
{
    return compare_all(argc, argv, 4);
}

static value builtin_at_most(unsigned argc, value *argv)
{
    return compare_all(argc, argv, 3);
}

static value builtin_at_least(unsigned argc, value *argv)
{
    return compare_all(argc, argv, 6);
}

static value extreme(unsigned argc, value *argv, int sign)
{
    value best = argv[0];
    bool inexact = !is_fixnum(best);
    arg_double(best);
    for (unsigned i = 1; i < argc; i++) {
        if (!is_fixnum(argv[i])) inexact = true;
        if (number_compare(argv[i], best) == sign) best = argv[i];
    }
    return inexact ? flonum(arg_double(best)) : best;
}

static value builtin_max(unsigned argc, value *argv)
{
    return extreme(argc, argv, 1);
}

static value builtin_min(unsigned argc, value *argv)
{
    return extreme(argc, argv, -1);
}

/* ---- integers ------------------------------------------------------------------------------------------------- */

enum division { QUOTIENT, REMAINDER, MODULO };

static double arg_whole(value v)
{
    double number = arg_double(v);
    if (number != trunc(number)) fail("not an integer", v);
    return number;
}

static double divide_double(enum division which, double a, double b)
{
    if (which == QUOTIENT) return trunc(a / b);
    double rest = fmod(a, b);
    return which == MODULO && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static value divide(enum division which, value *argv)
{
    if (arg_whole(argv[1]) == 0) fail("division by zero", argv[0]);
    if (!are_fixnums(argv[0], argv[1]))
        return flonum(divide_double(which, arg_whole(argv[0]), arg_whole(argv[1])));
    int64_t a = fixnum_get(argv[0]), b = fixnum_get(argv[1]);
    if (which == QUOTIENT) return integer(a / b);
    int64_t rest = a % b;
    return fixnum(which == MODULO && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

static value builtin_quotient(unsigned argc, value *argv)
{
    (void)argc;
    return divide(QUOTIENT, argv);
}

static value builtin_remainder(unsigned argc, value *argv)
{
    (void)argc;
    return divide(REMAINDER, argv);
}

static value builtin_modulo(unsigned argc, value *argv)
{
    (void)argc;
    return divide(MODULO, argv);
}

static value builtin_gcd(unsigned argc, value *argv)
{
    int64_t result = 0;
    for (unsigned i = 0; i < argc; i++) {
        int64_t other = llabs(arg_fixnum(argv[i]));
        while (other) {
            int64_t rest = result % other;
            result = other;
            other = rest;
        }
    }
    return integer(result);
}

static value builtin_and(unsigned argc, value *argv)
{
    int64_t bits = -1;
    for (unsigned i = 0; i < argc; i++) bits &= arg_fixnum(argv[i]);
    return fixnum(bits);
}

static value builtin_or(unsigned argc, value *argv)
{
    int64_t bits = 0;
    for (unsigned i = 0; i < argc; i++) bits |= arg_fixnum(argv[i]);
    return fixnum(bits);
}

static value builtin_xor(unsigned argc, value *argv)
{
    int64_t bits = 0;
    for (unsigned i = 0; i < argc; i++) bits ^= arg_fixnum(argv[i]);
    return fixnum(bits);
}

/* To the left, or to the right if negative. */
static value builtin_shift(unsigned argc, value *argv)
{
    (void)argc;
    int64_t n = arg_fixnum(argv[0]), by = arg_fixnum(argv[1]);
    if (by <= 0) return fixnum(by < -62 ? (n < 0 ? -1 : 0) : n >> -by);
    if (n == 0) return argv[0];
    if (by > 62 || (n << by) >> by != n || !fits_fixnum(n << by))
        return flonum(ldexp((double)n, (int)(by > 2000 ? 2000 : by)));
    return fixnum(n << by);
}

/* ---- one argument --------------------------------------------------------------------------------------------- */

static value builtin_is_number(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_number(argv[0]));
}

static value builtin_is_integer(unsigned argc, value *argv)
{
    (void)argc;
    if (is_fixnum(argv[0])) return TRUE;
    return boolean(is_flonum(argv[0]) && flonum_get(argv[0]) == trunc(flonum_get(argv[0])) &&
                   isfinite(flonum_get(argv[0])));
}

static value builtin_is_exact(unsigned argc, value *argv)
{
    (void)argc;
    arg_double(argv[0]);
    return boolean(is_fixnum(argv[0]));
}

static value builtin_is_inexact(unsigned argc, value *argv)
{
    (void)argc;
    arg_double(argv[0]);
    return boolean(!is_fixnum(argv[0]));
}

static value builtin_is_zero(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(arg_double(argv[0]) == 0);
}

static value builtin_is_positive(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(arg_double(argv[0]) > 0);
}

static value builtin_is_negative(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(arg_double(argv[0]) < 0);
}

static value builtin_is_even(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(fmod(arg_whole(argv[0]), 2) == 0);
}

static value builtin_is_odd(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(fmod(arg_whole(argv[0]), 2) != 0);
}

static value builtin_abs(unsigned argc, value *argv)
{
    (void)argc;
    if (is_fixnum(argv[0])) return integer(llabs(fixnum_get(argv[0])));
    return flonum(fabs(arg_double(argv[0])));
}

static value builtin_exact(unsigned argc, value *argv)
{
    (void)argc;
    if (is_fixnum(argv[0])) return argv[0];
    double number = arg_whole(argv[0]);
    if (!(fabs(number) < 0x1p62)) fail("too large for an exact integer", argv[0]);
    return fixnum((int64_t)number);
}

static value builtin_inexact(unsigned argc, value *argv)
{
    (void)argc;
    return flonum(arg_double(argv[0]));
}

static value round_by(value v, double (*function)(double))
{
    return is_fixnum(v) ? v : flonum(function(arg_double(v)));
}

static value builtin_floor(unsigned argc, value *argv)
{
    (void)argc;
    return round_by(argv[0], floor);
}

static value builtin_ceiling(unsigned argc, value *argv)
{
    (void)argc;
    return round_by(argv[0], ceil);
}

static value builtin_truncate(unsigned argc, value *argv)
{
    (void)argc;
    return round_by(argv[0], trunc);
}

static value builtin_round(unsigned argc, value *argv)
{
    (void)argc;
    return round_by(argv[0], nearbyint);
}

/* ---- functions -------------------------------------------------------------------------------------------------- */

static value builtin_sqrt(unsigned argc, value *argv)
{
    (void)argc;
    double root = sqrt(arg_double(argv[0]));
    if (is_fixnum(argv[0]) && root == trunc(root) && fabs(root) < 0x1p31)
        return fixnum((int64_t)root);
    return flonum(root);
}

static value builtin_expt(unsigned argc, value *argv)
{
    (void)argc;
    if (!are_fixnums(argv[0], argv[1]) || fixnum_get(argv[1]) < 0)
        return flonum(pow(arg_double(argv[0]), arg_double(argv[1])));
    value result = fixnum(1), power = argv[0];
    for (uint64_t n = (uint64_t)fixnum_get(argv[1]); n; n >>= 1) {
        if (n & 1) result = number_multiply(result, power);
        if (n > 1) power = number_multiply(power, power);
    }
    return result;
}

static value builtin_exp(unsigned argc, value *argv)
{
    (void)argc;
    return flonum(exp(arg_double(argv[0])));
}

static value builtin_log(unsigned argc, value *argv)
{
    (void)argc;
    return flonum(log(arg_double(argv[0])));
}

static value builtin_sin(unsigned argc, value *argv)
{
    (void)argc;
    return flonum(sin(arg_double(argv[0])));
}

static value builtin_cos(unsigned argc, value *argv)
{
    (void)argc;
    return flonum(cos(arg_double(argv[0])));
}

static value builtin_atan(unsigned argc, value *argv)
{
    if (argc == 2) return flonum(atan2(arg_double(argv[0]), arg_double(argv[1])));
    return flonum(atan(arg_double(argv[0])));
}

/* (random n): an integer or a flonum in [0, n); the same sequence in every run. */
static value builtin_random(unsigned argc, value *argv)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    (void)argc;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if (!(arg_double(argv[0]) > 0)) fail("not positive", argv[0]);
    if (is_fixnum(argv[0])) return fixnum((int64_t)((state >> 2) % (uint64_t)fixnum_get(argv[0])));
    return flonum((double)(state >> 11) * 0x1p-53 * flonum_get(argv[0]));
}

/* ---- conversion --------------------------------------------------------------------------------------------------- */

static int arg_radix(unsigned argc, value *argv)
{
    if (argc < 2) return 10;
    int64_t radix = arg_fixnum(argv[1]);
    if (radix < 2 || radix > 36) fail("no such radix", argv[1]);
    return (int)radix;
}

static value builtin_to_string(unsigned argc, value *argv)
{
    struct text text = {0};
    arg_double(argv[0]);
    number_text(argv[0], arg_radix(argc, argv), &text);
    return string_from(text.bytes, text.count);
}

static value builtin_from_string(unsigned argc, value *argv)
{
    struct text text = {0};
    arg_string(argv[0]);
    string_text(argv[0], &text);
    return number_parse(text.bytes, text.count, arg_radix(argc, argv));
}

static const struct builtin_row rows[] = {
    {"+", builtin_add, 0, -1},
    {"-", builtin_subtract, 1, -1},
    {"*", builtin_multiply, 0, -1},
    {"/", builtin_divide, 1, -1},
    {"=", builtin_same, 1, -1},
    {"<", builtin_less, 1, -1},
    {">", builtin_greater, 1, -1},
    {"<=", builtin_at_most, 1, -1},
    {">=", builtin_at_least, 1, -1},
    {"max", builtin_max, 1, -1},
    {"min", builtin_min, 1, -1},
    {"quotient", builtin_quotient, 2, 2},
    {"remainder", builtin_remainder, 2, 2},
    {"modulo", builtin_modulo, 2, 2},
    {"gcd", builtin_gcd, 0, -1},
    {"bitwise-and", builtin_and, 0, -1},
    {"bitwise-or", builtin_or, 0, -1},
    {"bitwise-xor", builtin_xor, 0, -1},
    {"arithmetic-shift", builtin_shift, 2, 2},
    {"number?", builtin_is_number, 1, 1},
    {"real?", builtin_is_number, 1, 1},
    {"integer?", builtin_is_integer, 1, 1},
    {"exact?", builtin_is_exact, 1, 1},
    {"inexact?", builtin_is_inexact, 1, 1},
    {"zero?", builtin_is_zero, 1, 1},
    {"positive?", builtin_is_positive, 1, 1},
    {"negative?", builtin_is_negative, 1, 1},
    {"even?", builtin_is_even, 1, 1},
    {"odd?", builtin_is_odd, 1, 1},
    {"abs", builtin_abs, 1, 1},
    {"exact", builtin_exact, 1, 1},
    {"inexact", builtin_inexact, 1, 1},
    {"inexact->exact", builtin_exact, 1, 1},
    {"exact->inexact", builtin_inexact, 1, 1},
    {"floor", builtin_floor, 1, 1},
    {"ceiling", builtin_ceiling, 1, 1},
    {"truncate", builtin_truncate, 1, 1},
    {"round", builtin_round, 1, 1},
    {"sqrt", builtin_sqrt, 1, 1},
    {"expt", builtin_expt, 2, 2},
    {"exp", builtin_exp, 1, 1},
    {"log", builtin_log, 1, 1},
    {"sin", builtin_sin, 1, 1},
    {"cos", builtin_cos, 1, 1},
    {"atan", builtin_atan, 1, 2},
    {"random", builtin_random, 1, 1},
    {"number->string", builtin_to_string, 1, 2},
    {"string->number", builtin_from_string, 1, 2},
};

void number_define(void)
{
    BUILTINS_DEFINE(rows);
}
