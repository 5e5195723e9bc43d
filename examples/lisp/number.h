/*
 * Numbers: fixnums of 63 bits and flonums. An integer result that does not fit becomes a flonum: there
 * are no bignums and no fractions, so (/ 1 3) is a flonum too.
 *
 * The fast_... functions are the common cases, inlined into nodes (prims.def): false means that the
 * builtin has to look closer, or complain.
 */
#ifndef LISP_NUMBER_H
#define LISP_NUMBER_H

#include "text.h"
#include "value.h"

value number_add(value a, value b);
value number_subtract(value a, value b);
value number_multiply(value a, value b);
/* -1, 0, 1, or 2 if one is not a number in the sense of IEEE. */
int number_compare(value a, value b);

/* The number that the text says, or FALSE. */
value number_parse(const char *text, size_t length, int radix);
void number_text(value number, int radix, struct text *text);

static inline bool are_short_flonums(value a, value b)
{
    return is_short_flonum(a) && is_short_flonum(b);
}

static inline bool fast_add(value a, value b, value *result)
{
    int64_t sum;
    if (are_fixnums(a, b)) {
        if (__builtin_add_overflow((int64_t)(a << 1), (int64_t)(b << 1), &sum)) return false;
        *result = (uint64_t)sum >> 1 | FIXNUM_BIT;
        return true;
    }
    if (!are_short_flonums(a, b)) return false;
    *result = flonum(short_flonum_get(a) + short_flonum_get(b));
    return true;
}

static inline bool fast_subtract(value a, value b, value *result)
{
    int64_t difference;
    if (are_fixnums(a, b)) {
        if (__builtin_sub_overflow((int64_t)(a << 1), (int64_t)(b << 1), &difference)) return false;
        *result = (uint64_t)difference >> 1 | FIXNUM_BIT;
        return true;
    }
    if (!are_short_flonums(a, b)) return false;
    *result = flonum(short_flonum_get(a) - short_flonum_get(b));
    return true;
}

static inline bool fast_multiply(value a, value b, value *result)
{
    int64_t product;
    if (are_fixnums(a, b)) {
        if (__builtin_mul_overflow((int64_t)(a << 1), fixnum_get(b), &product)) return false;
        *result = (uint64_t)product >> 1 | FIXNUM_BIT;
        return true;
    }
    if (!are_short_flonums(a, b)) return false;
    *result = flonum(short_flonum_get(a) * short_flonum_get(b));
    return true;
}

static inline bool fast_quotient(value a, value b, value *result)
{
    if (!are_fixnums(a, b) || fixnum_get(b) <= 0) return false;
    *result = fixnum(fixnum_get(a) / fixnum_get(b));
    return true;
}

static inline bool fast_remainder(value a, value b, value *result)
{
    if (!are_fixnums(a, b) || fixnum_get(b) <= 0) return false;
    *result = fixnum(fixnum_get(a) % fixnum_get(b));
    return true;
}

static inline bool fast_modulo(value a, value b, value *result)
{
    return are_fixnums(a, b) && fixnum_get(a) >= 0 && fast_remainder(a, b, result);
}

static inline bool fast_less(value a, value b, value *result)
{
    if (are_fixnums(a, b)) {
        *result = boolean(fixnum_get(a) < fixnum_get(b));
        return true;
    }
    if (!are_short_flonums(a, b)) return false;
    *result = boolean(short_flonum_get(a) < short_flonum_get(b));
    return true;
}

static inline bool fast_greater(value a, value b, value *result)
{
    return fast_less(b, a, result);
}

static inline bool fast_at_most(value a, value b, value *result)
{
    if (!are_fixnums(a, b)) return false;
    *result = boolean(fixnum_get(a) <= fixnum_get(b));
    return true;
}

static inline bool fast_at_least(value a, value b, value *result)
{
    return fast_at_most(b, a, result);
}

static inline bool fast_same_number(value a, value b, value *result)
{
    if (!are_fixnums(a, b)) return false;
    *result = boolean(a == b);
    return true;
}

static inline bool fast_is_zero(value a, value *result)
{
    if (!is_fixnum(a)) return false;
    *result = boolean(a == fixnum(0));
    return true;
}

#endif
