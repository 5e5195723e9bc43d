/* Builtins: vectors. */
#include "args.h"
#include "value.h"

static value builtin_is_vector(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_kind(argv[0], KIND_VECTOR));
}

static value builtin_make(unsigned argc, value *argv)
{
    return vector_new(arg_index(argv[0], UINT32_MAX), argc > 1 ? argv[1] : FALSE);
}

static value vector_from(size_t count, const value *items)
{
    value vector = vector_new(count, FALSE);
    if (count) fh_gc_store_range(lisp.heap, vector_of(vector)->item, items, count * sizeof *items);
    return vector;
}

static value builtin_vector(unsigned argc, value *argv)
{
    return vector_from(argc, argv);
}

static value builtin_length(unsigned argc, value *argv)
{
    (void)argc;
    return fixnum(arg_vector(argv[0])->head.count);
}

static value *item_of(value *argv)
{
    struct vector *vector = arg_vector(argv[0]);
    if (!is_fixnum(argv[1]) || (uint64_t)fixnum_get(argv[1]) >= vector->head.count)
        fail("out of range", argv[1]);
    return &vector->item[fixnum_get(argv[1])];
}

static value builtin_ref(unsigned argc, value *argv)
{
    (void)argc;
    return *item_of(argv);
}

static value builtin_set(unsigned argc, value *argv)
{
    (void)argc;
    store(item_of(argv), argv[2]);
    return UNSPECIFIED;
}

static value builtin_fill(unsigned argc, value *argv)
{
    struct vector *vector = arg_vector(argv[0]);
    struct range range = arg_range(argc, argv, 2, vector->head.count);
    for (size_t i = range.from; i < range.to; i++) store(&vector->item[i], argv[1]);
    return UNSPECIFIED;
}

static value builtin_to_list(unsigned argc, value *argv)
{
    struct vector *vector = arg_vector(argv[0]);
    struct range range = arg_range(argc, argv, 1, vector->head.count);
    value list = NIL;
    for (size_t i = range.to; i > range.from; i--) list = cons(vector->item[i - 1], list);
    return list;
}

static value builtin_from_list(unsigned argc, value *argv)
{
    (void)argc;
    if (list_length(argv[0]) < 0) fail("not a list", argv[0]);
    return list_to_vector(argv[0]);
}

static value builtin_copy(unsigned argc, value *argv)
{
    struct vector *vector = arg_vector(argv[0]);
    struct range range = arg_range(argc, argv, 1, vector->head.count);
    return vector_from(range.to - range.from, vector->item + range.from);
}

/* (vector-copy! to at from [start end]) */
static value builtin_copy_to(unsigned argc, value *argv)
{
    struct vector *to = arg_vector(argv[0]), *from = arg_vector(argv[2]);
    size_t at = arg_index(argv[1], to->head.count);
    struct range range = arg_range(argc, argv, 3, from->head.count);
    size_t count = range.to - range.from;
    if (count > to->head.count - at) fail("does not fit", argv[2]);
    if (count)
        fh_gc_store_range(lisp.heap, &to->item[at], &from->item[range.from], count * sizeof(value));
    return UNSPECIFIED;
}

static value builtin_append(unsigned argc, value *argv)
{
    size_t count = 0, at = 0;
    for (unsigned i = 0; i < argc; i++) count += arg_vector(argv[i])->head.count;
    value result = vector_new(count, FALSE);
    for (unsigned i = 0; i < argc; i++) {
        struct vector *from = vector_of(argv[i]);
        if (from->head.count)
            fh_gc_store_range(lisp.heap, &vector_of(result)->item[at], from->item,
                              from->head.count * sizeof(value));
        at += from->head.count;
    }
    return result;
}

static value builtin_map(unsigned argc, value *argv)
{
    uint32_t count = arg_vector(argv[1])->head.count;
    value result = vector_new(count, FALSE);
    (void)argc;
    for (uint32_t i = 0; i < count; i++) {
        value item = call_procedure(argv[0], 1, &vector_of(argv[1])->item[i]);
        store(&vector_of(result)->item[i], item);
    }
    return result;
}

static value builtin_for_each(unsigned argc, value *argv)
{
    uint32_t count = arg_vector(argv[1])->head.count;
    (void)argc;
    for (uint32_t i = 0; i < count; i++) call_procedure(argv[0], 1, &vector_of(argv[1])->item[i]);
    return UNSPECIFIED;
}

static const struct builtin_row rows[] = {
    {"vector?", builtin_is_vector, 1, 1},      {"make-vector", builtin_make, 1, 2},
    {"vector", builtin_vector, 0, -1},         {"vector-length", builtin_length, 1, 1},
    {"vector-ref", builtin_ref, 2, 2},         {"vector-set!", builtin_set, 3, 3},
    {"vector-fill!", builtin_fill, 2, 4},      {"vector->list", builtin_to_list, 1, 3},
    {"list->vector", builtin_from_list, 1, 1}, {"vector-copy", builtin_copy, 1, 3},
    {"vector-copy!", builtin_copy_to, 3, 5},   {"vector-append", builtin_append, 0, -1},
    {"vector-map", builtin_map, 2, 2},         {"vector-for-each", builtin_for_each, 2, 2},
};

void vector_define(void)
{
    BUILTINS_DEFINE(rows);
}
