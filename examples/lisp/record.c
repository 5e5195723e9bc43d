/* Builtins: records, promises, several values. What forms expand to is kept as roots. */
#include "args.h"

/* ---- records: type, then fields; a type is a record of itself with its name ------------------------------- */

static value record_of_type(value type, value v)
{
    if (!is_kind(v, KIND_RECORD) || record_of(v)->field[0] != type) {
        lisp.procedure = NULL;
        fail_list("wrong type of record", cons(record_of(type)->field[1], cons(v, NIL)));
    }
    return v;
}

static value builtin_type(unsigned argc, value *argv)
{
    value type = record_new(KIND_RECORD, 2);
    (void)argc;
    store(&record_of(type)->field[0], type);
    store(&record_of(type)->field[1], argv[0]);
    return type;
}

static value builtin_record(unsigned argc, value *argv)
{
    value record = record_new(KIND_RECORD, argc);
    for (unsigned i = 0; i < argc; i++) store(&record_of(record)->field[i], argv[i]);
    return record;
}

static value builtin_is_record(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_kind(argv[1], KIND_RECORD) && record_of(argv[1])->field[0] == argv[0]);
}

static value builtin_get(unsigned argc, value *argv)
{
    (void)argc;
    return record_of(record_of_type(argv[0], argv[1]))->field[1 + fixnum_get(argv[2])];
}

static value builtin_put(unsigned argc, value *argv)
{
    (void)argc;
    store(&record_of(record_of_type(argv[0], argv[1]))->field[1 + fixnum_get(argv[2])], argv[3]);
    return UNSPECIFIED;
}

/* ---- promises ---------------------------------------------------------------------------------------------- */

enum { PROMISE_DONE, PROMISE_VALUE, PROMISE_FIELDS };

static value builtin_promise(unsigned argc, value *argv)
{
    value promise = record_new(KIND_PROMISE, PROMISE_FIELDS);
    (void)argc;
    store(&record_of(promise)->field[PROMISE_VALUE], argv[0]);
    return promise;
}

/* The thunk may have forced the promise itself: the first value stays. */
static value builtin_force(unsigned argc, value *argv)
{
    (void)argc;
    if (!is_kind(argv[0], KIND_PROMISE)) return argv[0];
    struct record *promise = record_of(argv[0]);
    if (promise->field[PROMISE_DONE] == FALSE) {
        value v = call_procedure(promise->field[PROMISE_VALUE], 0, NULL);
        if (promise->field[PROMISE_DONE] == FALSE) {
            store(&promise->field[PROMISE_VALUE], v);
            store(&promise->field[PROMISE_DONE], TRUE);
        }
    }
    return promise->field[PROMISE_VALUE];
}

/* ---- several values ------------------------------------------------------------------------------------------ */

static value builtin_values(unsigned argc, value *argv)
{
    if (argc == 1) return argv[0];
    value values = record_new(KIND_VALUES, argc);
    for (unsigned i = 0; i < argc; i++) store(&record_of(values)->field[i], argv[i]);
    return values;
}

static value builtin_with_values(unsigned argc, value *argv)
{
    value v = call_procedure(argv[0], 0, NULL);
    (void)argc;
    if (!is_kind(v, KIND_VALUES)) return call_procedure(argv[1], 1, &v);
    return call_procedure(argv[1], record_of(v)->head.count, record_of(v)->field);
}

static void keep(value *root, const char *name)
{
    store(root, symbol_of(symbol_intern(name))->global);
}

static const struct builtin_row rows[] = {
    {"make-record-type", builtin_type, 1, 1},
    {"record", builtin_record, 1, -1},
    {"record-is?", builtin_is_record, 2, 2},
    {"record-get", builtin_get, 3, 3},
    {"record-put!", builtin_put, 4, 4},
    {"make-promise", builtin_promise, 1, 1},
    {"force", builtin_force, 1, 1},
    {"values", builtin_values, 0, -1},
    {"call-with-values", builtin_with_values, 2, 2},
};

void record_define(void)
{
    BUILTINS_DEFINE(rows);
    keep(&lisp.roots.builtin.cons, "cons");
    keep(&lisp.roots.builtin.append, "append");
    keep(&lisp.roots.builtin.list_to_vector, "list->vector");
    keep(&lisp.roots.builtin.catch_errors, "catch-errors");
    keep(&lisp.roots.builtin.raise, "raise");
    keep(&lisp.roots.builtin.promise, "make-promise");
    keep(&lisp.roots.builtin.with_values, "call-with-values");
    keep(&lisp.roots.builtin.record_type, "make-record-type");
    keep(&lisp.roots.builtin.record_make, "record");
    keep(&lisp.roots.builtin.record_is, "record-is?");
    keep(&lisp.roots.builtin.record_get, "record-get");
    keep(&lisp.roots.builtin.record_put, "record-put!");
}
