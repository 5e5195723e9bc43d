/* Builtins: pairs and lists, and what calls a procedure for each item. */
#include "args.h"
#include "value.h"

/* ---- pairs ------------------------------------------------------------------------------------------- */

static value builtin_cons(unsigned argc, value *argv)
{
    (void)argc;
    return cons(argv[0], argv[1]);
}

static value builtin_car(unsigned argc, value *argv)
{
    (void)argc;
    return arg_pair(argv[0])->car;
}

static value builtin_cdr(unsigned argc, value *argv)
{
    (void)argc;
    return arg_pair(argv[0])->cdr;
}

/* Paths of car and cdr, the last letter first. */
static value path(value v, const char *letters)
{
    for (; *letters; letters++) v = *letters == 'a' ? arg_pair(v)->car : arg_pair(v)->cdr;
    return v;
}

static value builtin_caar(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "aa");
}

static value builtin_cadr(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "da");
}

static value builtin_cdar(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "ad");
}

static value builtin_cddr(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "dd");
}

static value builtin_caddr(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "dda");
}

static value builtin_cdddr(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "ddd");
}

static value builtin_cadddr(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "ddda");
}

static value builtin_caadr(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "daa");
}

static value builtin_cdadr(unsigned argc, value *argv)
{
    (void)argc;
    return path(argv[0], "dad");
}

static value builtin_set_car(unsigned argc, value *argv)
{
    (void)argc;
    store(&arg_pair(argv[0])->car, argv[1]);
    return UNSPECIFIED;
}

static value builtin_set_cdr(unsigned argc, value *argv)
{
    (void)argc;
    store(&arg_pair(argv[0])->cdr, argv[1]);
    return UNSPECIFIED;
}

static value builtin_is_pair(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_pair(argv[0]));
}

static value builtin_is_null(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(argv[0] == NIL);
}

/* ---- lists ------------------------------------------------------------------------------------------- */

/* A circular list is none: one end walks at twice the speed of the other. */
static value builtin_is_list(unsigned argc, value *argv)
{
    value slow = argv[0], fast = argv[0];
    (void)argc;
    for (;;) {
        for (int i = 0; i < 2; i++) {
            if (!is_pair(fast)) return boolean(fast == NIL);
            fast = cdr(fast);
        }
        slow = cdr(slow);
        if (slow == fast) return FALSE;
    }
}

static value builtin_list(unsigned argc, value *argv)
{
    value list = NIL;
    while (argc-- > 0) list = cons(argv[argc], list);
    return list;
}

static value builtin_cons_star(unsigned argc, value *argv)
{
    value list = argv[--argc];
    while (argc-- > 0) list = cons(argv[argc], list);
    return list;
}

static value builtin_make_list(unsigned argc, value *argv)
{
    value list = NIL, fill = argc > 1 ? argv[1] : FALSE;
    for (size_t n = arg_index(argv[0], UINT32_MAX); n > 0; n--) list = cons(fill, list);
    return list;
}

static value builtin_iota(unsigned argc, value *argv)
{
    int64_t start = argc > 1 ? arg_fixnum(argv[1]) : 0;
    value list = NIL;
    for (int64_t n = (int64_t)arg_index(argv[0], UINT32_MAX); n > 0; n--)
        list = cons(fixnum(start + n - 1), list);
    return list;
}

static value builtin_length(unsigned argc, value *argv)
{
    (void)argc;
    int64_t length = list_length(argv[0]);
    if (length < 0) fail("not a list", argv[0]);
    return fixnum(length);
}

static value checked_list(value list)
{
    if (list_length(list) < 0) fail("not a list", list);
    return list;
}

static value builtin_append(unsigned argc, value *argv)
{
    if (argc == 0) return NIL;
    value result = argv[argc - 1];
    for (unsigned i = argc - 1; i-- > 0;) result = list_join(checked_list(argv[i]), result);
    return result;
}

static value builtin_reverse(unsigned argc, value *argv)
{
    value reversed = NIL;
    (void)argc;
    for (value l = checked_list(argv[0]); l != NIL; l = cdr(l)) reversed = cons(car(l), reversed);
    return reversed;
}

static value builtin_reverse_in_place(unsigned argc, value *argv)
{
    value reversed = NIL, next;
    (void)argc;
    for (value l = checked_list(argv[0]); l != NIL; l = next) {
        next = cdr(l);
        store(&pair_of(l)->cdr, reversed);
        reversed = l;
    }
    return reversed;
}

static value builtin_list_copy(unsigned argc, value *argv)
{
    (void)argc;
    return list_join(argv[0], NIL);
}

static value tail_of(value list, value index)
{
    for (size_t n = arg_index(index, (size_t)FIXNUM_MAX); n > 0; n--) list = arg_pair(list)->cdr;
    return list;
}

static value builtin_list_tail(unsigned argc, value *argv)
{
    (void)argc;
    return tail_of(argv[0], argv[1]);
}

static value builtin_list_ref(unsigned argc, value *argv)
{
    (void)argc;
    return arg_pair(tail_of(argv[0], argv[1]))->car;
}

static value builtin_last_pair(unsigned argc, value *argv)
{
    value pair = argv[0];
    (void)argc;
    arg_pair(pair);
    while (is_pair(cdr(pair))) pair = cdr(pair);
    return pair;
}

/* ---- searching ---------------------------------------------------------------------------------------- */

static bool is_same(value a, value b)
{
    return a == b;
}

static value member_by(value *argv, bool (*equal)(value, value))
{
    value l = argv[1];
    for (; is_pair(l); l = cdr(l))
        if (equal(argv[0], car(l))) return l;
    if (l != NIL) fail("not a list", argv[1]);
    return FALSE;
}

static value associated_by(value *argv, bool (*equal)(value, value))
{
    value l = argv[1];
    for (; is_pair(l); l = cdr(l))
        if (equal(argv[0], arg_pair(car(l))->car)) return car(l);
    if (l != NIL) fail("not a list", argv[1]);
    return FALSE;
}

static value builtin_memq(unsigned argc, value *argv)
{
    (void)argc;
    return member_by(argv, is_same);
}

static value builtin_memv(unsigned argc, value *argv)
{
    (void)argc;
    return member_by(argv, is_eqv);
}

static value builtin_member(unsigned argc, value *argv)
{
    (void)argc;
    return member_by(argv, is_equal);
}

static value builtin_assq(unsigned argc, value *argv)
{
    (void)argc;
    return associated_by(argv, is_same);
}

static value builtin_assv(unsigned argc, value *argv)
{
    (void)argc;
    return associated_by(argv, is_eqv);
}

static value builtin_assoc(unsigned argc, value *argv)
{
    (void)argc;
    return associated_by(argv, is_equal);
}

/* ---- procedures for each item ---------------------------------------------------------------------------- */

enum { LISTS_MAX = 16 };

/* The first items of the lists, which move on; false when one is at its end. */
static bool items_next(unsigned count, value *lists, value *items)
{
    for (unsigned i = 0; i < count; i++) {
        if (!is_pair(lists[i])) {
            arg_list(lists[i]);
            return false;
        }
        items[i] = car(lists[i]);
        lists[i] = cdr(lists[i]);
    }
    return true;
}

static unsigned lists_take(unsigned argc, const value *argv, value *lists)
{
    if (argc - 1 > LISTS_MAX) fail_plain("too many lists");
    arg_procedure(argv[0]);
    memcpy(lists, argv + 1, (argc - 1) * sizeof *lists);
    return argc - 1;
}

static value builtin_map(unsigned argc, value *argv)
{
    value lists[LISTS_MAX], items[LISTS_MAX];
    unsigned count = lists_take(argc, argv, lists);
    struct list results = {NIL, NIL};
    while (items_next(count, lists, items))
        list_add(&results, call_procedure(argv[0], count, items));
    return results.head;
}

static value builtin_for_each(unsigned argc, value *argv)
{
    value lists[LISTS_MAX], items[LISTS_MAX];
    unsigned count = lists_take(argc, argv, lists);
    while (items_next(count, lists, items)) call_procedure(argv[0], count, items);
    return UNSPECIFIED;
}

static value filter(value *argv, bool keep)
{
    struct list kept = {NIL, NIL};
    for (value l = checked_list(argv[1]); l != NIL; l = cdr(l)) {
        value item = car(l);
        if ((call_procedure(argv[0], 1, &item) != FALSE) == keep) list_add(&kept, item);
    }
    return kept.head;
}

static value builtin_filter(unsigned argc, value *argv)
{
    (void)argc;
    return filter(argv, true);
}

static value builtin_remove(unsigned argc, value *argv)
{
    (void)argc;
    return filter(argv, false);
}

static value builtin_fold_left(unsigned argc, value *argv)
{
    value result = argv[1];
    (void)argc;
    for (value l = checked_list(argv[2]); l != NIL; l = cdr(l))
        result = call_procedure(argv[0], 2, (value[]){result, car(l)});
    return result;
}

static value builtin_fold_right(unsigned argc, value *argv)
{
    value result = argv[1], reversed = builtin_reverse(1, &argv[2]);
    (void)argc;
    for (value l = reversed; l != NIL; l = cdr(l))
        result = call_procedure(argv[0], 2, (value[]){car(l), result});
    return result;
}

/* ---- sorting --------------------------------------------------------------------------------------------- */

static bool is_before(value procedure, value a, value b)
{
    return call_procedure(procedure, 2, (value[]){a, b}) != FALSE;
}

/* Merges [from, middle) and [middle, to) of a vector into another. */
static void merge(value less, const value *in, value *out, size_t from, size_t middle, size_t to)
{
    for (size_t i = from, j = middle, at = from; at < to; at++) {
        bool second = i == middle || (j < to && is_before(less, in[j], in[i]));
        store(&out[at], second ? in[j++] : in[i++]);
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Stable, from the bottom up; returns the vector that has the result. */
static value sort_vector(value vector, value less)
{
    size_t count = vector_of(vector)->head.count;
    value other = vector_new(count, FALSE);
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run)
            merge(less, vector_of(vector)->item, vector_of(other)->item, at, least(at + run, count),
                  least(at + 2 * run, count));
        value swap = vector;
        vector = other;
        other = swap;
    }
    return vector;
}

static value vector_to_list(value vector)
{
    value list = NIL;
    for (uint32_t i = vector_of(vector)->head.count; i-- > 0;)
        list = cons(vector_of(vector)->item[i], list);
    return list;
}

/* (sort sequence less): a new list or vector. */
static value builtin_sort(unsigned argc, value *argv)
{
    (void)argc;
    arg_procedure(argv[1]);
    if (is_kind(argv[0], KIND_VECTOR)) {
        struct vector *from = vector_of(argv[0]);
        value copy = vector_new(from->head.count, FALSE);
        fh_gc_store_range(lisp.heap, vector_of(copy)->item, from->item,
                          from->head.count * sizeof(value));
        return sort_vector(copy, argv[1]);
    }
    return vector_to_list(sort_vector(list_to_vector(checked_list(argv[0])), argv[1]));
}

static const struct builtin_row rows[] = {
    {"cons", builtin_cons, 2, 2},
    {"car", builtin_car, 1, 1},
    {"cdr", builtin_cdr, 1, 1},
    {"caar", builtin_caar, 1, 1},
    {"cadr", builtin_cadr, 1, 1},
    {"cdar", builtin_cdar, 1, 1},
    {"cddr", builtin_cddr, 1, 1},
    {"caddr", builtin_caddr, 1, 1},
    {"cdddr", builtin_cdddr, 1, 1},
    {"cadddr", builtin_cadddr, 1, 1},
    {"caadr", builtin_caadr, 1, 1},
    {"cdadr", builtin_cdadr, 1, 1},
    {"set-car!", builtin_set_car, 2, 2},
    {"set-cdr!", builtin_set_cdr, 2, 2},
    {"pair?", builtin_is_pair, 1, 1},
    {"null?", builtin_is_null, 1, 1},
    {"list?", builtin_is_list, 1, 1},
    {"list", builtin_list, 0, -1},
    {"cons*", builtin_cons_star, 1, -1},
    {"make-list", builtin_make_list, 1, 2},
    {"iota", builtin_iota, 1, 2},
    {"length", builtin_length, 1, 1},
    {"append", builtin_append, 0, -1},
    {"reverse", builtin_reverse, 1, 1},
    {"reverse!", builtin_reverse_in_place, 1, 1},
    {"list-copy", builtin_list_copy, 1, 1},
    {"list-tail", builtin_list_tail, 2, 2},
    {"list-ref", builtin_list_ref, 2, 2},
    {"last-pair", builtin_last_pair, 1, 1},
    {"memq", builtin_memq, 2, 2},
    {"memv", builtin_memv, 2, 2},
    {"member", builtin_member, 2, 2},
    {"assq", builtin_assq, 2, 2},
    {"assv", builtin_assv, 2, 2},
    {"assoc", builtin_assoc, 2, 2},
    {"map", builtin_map, 2, -1},
    {"for-each", builtin_for_each, 2, -1},
    {"filter", builtin_filter, 2, 2},
    {"remove", builtin_remove, 2, 2},
    {"fold-left", builtin_fold_left, 3, 3},
    {"fold-right", builtin_fold_right, 3, 3},
    {"sort", builtin_sort, 2, 2},
};

void list_define(void)
{
    BUILTINS_DEFINE(rows);
}
