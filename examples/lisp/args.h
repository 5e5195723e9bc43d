/*
 * Arguments of builtins, checked: what is wrong becomes an error that names the builtin.
 */
#ifndef LISP_ARGS_H
#define LISP_ARGS_H

#include "value.h"

static inline void arg_kind(value v, enum kind kind, const char *message)
{
    if (__builtin_expect(!is_kind(v, kind), 0)) fail(message, v);
}

static inline struct pair *arg_pair(value v)
{
    if (__builtin_expect(!is_pair(v), 0)) fail("not a pair", v);
    return pair_of(v);
}

static inline struct string *arg_string(value v)
{
    arg_kind(v, KIND_STRING, "not a string");
    return string_of(v);
}

static inline struct vector *arg_vector(value v)
{
    arg_kind(v, KIND_VECTOR, "not a vector");
    return vector_of(v);
}

static inline struct symbol *arg_symbol(value v)
{
    arg_kind(v, KIND_SYMBOL, "not a symbol");
    return symbol_of(v);
}

static inline value arg_procedure(value v)
{
    if (!is_procedure(v)) fail("not a procedure", v);
    return v;
}

static inline uint32_t arg_character(value v)
{
    if (!is_character(v)) fail("not a character", v);
    return character_get(v);
}

static inline int64_t arg_fixnum(value v)
{
    if (__builtin_expect(!is_fixnum(v), 0)) fail("not an exact integer", v);
    return fixnum_get(v);
}

/* An integer in [0, limit]. */
static inline size_t arg_index(value v, size_t limit)
{
    if (!is_fixnum(v) || fixnum_get(v) < 0 || (size_t)fixnum_get(v) > limit)
        fail("out of range", v);
    return (size_t)fixnum_get(v);
}

static inline double arg_double(value v)
{
    if (is_fixnum(v)) return (double)fixnum_get(v);
    if (!is_flonum(v)) fail("not a number", v);
    return flonum_get(v);
}

static inline value arg_list(value v)
{
    if (v != NIL && !is_pair(v)) fail("not a list", v);
    return v;
}

/* The optional arguments [from, to) at argv[first], of something of that length. */
struct range {
    size_t from, to;
};

static inline struct range arg_range(unsigned argc, const value *argv, unsigned first,
                                     size_t length)
{
    struct range range = {0, length};
    if (argc > first + 1) range.to = arg_index(argv[first + 1], length);
    if (argc > first) range.from = arg_index(argv[first], range.to);
    return range;
}

#endif
