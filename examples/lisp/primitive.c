/*
 * Builtins that run inline. A program may define their names anew: each node looks whether the name
 * still means the builtin it was compiled for, a load and a comparison, and is an ordinary call if not.
 */
#include "args.h"
#include "eval.h"
#include "number.h"

static inline bool fast_car(value a, value *result)
{
    if (!is_pair(a)) return false;
    *result = car(a);
    return true;
}

static inline bool fast_cdr(value a, value *result)
{
    if (!is_pair(a)) return false;
    *result = cdr(a);
    return true;
}

static inline bool fast_caar(value a, value *result)
{
    return fast_car(a, &a) && fast_car(a, result);
}

static inline bool fast_cadr(value a, value *result)
{
    return fast_cdr(a, &a) && fast_car(a, result);
}

static inline bool fast_cddr(value a, value *result)
{
    return fast_cdr(a, &a) && fast_cdr(a, result);
}

static inline bool fast_is_null(value a, value *result)
{
    *result = boolean(a == NIL);
    return true;
}

static inline bool fast_is_pair(value a, value *result)
{
    *result = boolean(is_pair(a));
    return true;
}

static inline bool fast_is_symbol(value a, value *result)
{
    *result = boolean(is_symbol(a));
    return true;
}

static inline bool fast_not(value a, value *result)
{
    *result = boolean(a == FALSE);
    return true;
}

static inline bool fast_vector_length(value a, value *result)
{
    if (!is_kind(a, KIND_VECTOR)) return false;
    *result = fixnum(vector_of(a)->head.count);
    return true;
}

static inline bool fast_cons(value a, value b, value *result)
{
    *result = cons(a, b);
    return true;
}

static inline bool fast_is_eq(value a, value b, value *result)
{
    *result = boolean(a == b);
    return true;
}

static inline bool fast_is_eqv(value a, value b, value *result)
{
    *result = boolean(is_eqv(a, b));
    return true;
}

static inline bool is_item(value vector, value index)
{
    return is_kind(vector, KIND_VECTOR) && is_fixnum(index) &&
           (uint64_t)fixnum_get(index) < vector_of(vector)->head.count;
}

static inline bool fast_vector_ref(value vector, value index, value *result)
{
    if (!is_item(vector, index)) return false;
    *result = vector_of(vector)->item[fixnum_get(index)];
    return true;
}

static inline bool fast_vector_set(value vector, value index, value item, value *result)
{
    if (!is_item(vector, index)) return false;
    store(&vector_of(vector)->item[fixnum_get(index)], item);
    *result = UNSPECIFIED;
    return true;
}

static inline bool fast_set_car(value a, value b, value *result)
{
    if (!is_pair(a)) return false;
    store(&pair_of(a)->car, b);
    *result = UNSPECIFIED;
    return true;
}

static inline bool fast_set_cdr(value a, value b, value *result)
{
    if (!is_pair(a)) return false;
    store(&pair_of(a)->cdr, b);
    *result = UNSPECIFIED;
    return true;
}

static inline bool fast_string_ref(value string, value index, value *result)
{
    if (!is_kind(string, KIND_STRING) || !is_fixnum(index)) return false;
    if ((uint64_t)fixnum_get(index) >= string_of(string)->length) return false;
    *result = character(string_get(string_of(string), (size_t)fixnum_get(index)));
    return true;
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) value primitive_slow(struct node *node, unsigned argc, value *argv)
{
    lisp.where = node->where;
    lisp.procedure = builtin_of(node->extra)->name;
    return builtin_of(node->extra)->function(argc, argv);
}

static inline bool is_redefined(const struct node *node)
{
    return __builtin_expect(symbol_of(node->datum)->global != node->extra, 0);
}

#define PRIMITIVE1(function, name)                                                                 \
    static value run_##function##_node(struct node *node, value *fp)                               \
    {                                                                                              \
        if (is_redefined(node)) return run_call(node, fp);                                         \
        value result = 0, a = operand(node->child[1], fp);                                         \
        if (__builtin_expect(function(a, &result), 1)) return result;                              \
        return primitive_slow(node, 1, (value[]){a});                                              \
    }
#define PRIMITIVE2(function, name)                                                                 \
    static value run_##function##_node(struct node *node, value *fp)                               \
    {                                                                                              \
        if (is_redefined(node)) return run_call(node, fp);                                         \
        value result = 0, a = operand(node->child[1], fp), b = operand(node->child[2], fp);        \
        if (__builtin_expect(function(a, b, &result), 1)) return result;                           \
        return primitive_slow(node, 2, (value[]){a, b});                                           \
    }
#define PRIMITIVE3(function, name)                                                                 \
    static value run_##function##_node(struct node *node, value *fp)                               \
    {                                                                                              \
        if (is_redefined(node)) return run_call(node, fp);                                         \
        value result = 0, a = operand(node->child[1], fp), b = operand(node->child[2], fp);        \
        value c = operand(node->child[3], fp);                                                     \
        if (__builtin_expect(function(a, b, c, &result), 1)) return result;                        \
        return primitive_slow(node, 3, (value[]){a, b, c});                                        \
    }
#include "primitive.def"
#undef PRIMITIVE1
#undef PRIMITIVE2
#undef PRIMITIVE3

run_fn *run_of_primitive(value builtin, unsigned argc)
{
#define PRIMITIVE1(function, name) {name, 1, run_##function##_node},
#define PRIMITIVE2(function, name) {name, 2, run_##function##_node},
#define PRIMITIVE3(function, name) {name, 3, run_##function##_node},
    static const struct {
        const char *name;
        unsigned argc;
        run_fn *run;
    } rows[] = {
#include "primitive.def"
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].argc == argc && strcmp(rows[i].name, builtin_of(builtin)->name) == 0)
            return rows[i].run;
    return NULL;
}
