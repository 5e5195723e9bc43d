/*
 * Errors. One unwinds to the innermost catch by longjmp, which costs the collector nothing: it searches
 * whatever stack there is. A condition is a record of message, irritants and place; raise may hand
 * over any other value.
 */
#include "args.h"
#include "port.h"
#include "print.h"
#include "text.h"
#include "value.h"

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE, IRRITANTS, PLACE, CONDITION_FIELDS };

_Noreturn void raise_value(value condition)
{
    struct catch *catch = lisp.catch;
    if (catch == NULL) abort();
    catch->condition = condition;
    lisp.catch = catch->outer;
    longjmp(catch->jump, 1);
}

static value condition_new(value message, value irritants, place where)
{
    value condition = record_new(KIND_CONDITION, CONDITION_FIELDS);
    struct record *record = record_of(condition);
    store(&record->field[MESSAGE], message);
    store(&record->field[IRRITANTS], irritants);
    store(&record->field[PLACE], fixnum((int64_t)where));
    return condition;
}

static value message_make(const char *message)
{
    struct text text = {0};
    if (lisp.procedure) {
        text_add(&text, lisp.procedure, strlen(lisp.procedure));
        text_add(&text, ": ", 2);
    }
    text_add(&text, message, strlen(message));
    return string_from(text.bytes, text.count);
}

_Noreturn void fail_list(const char *message, value irritants)
{
    raise_value(condition_new(message_make(message), irritants, lisp.where));
}

_Noreturn void fail(const char *message, value irritant)
{
    fail_list(message, cons(irritant, NIL));
}

_Noreturn void fail_plain(const char *message)
{
    fail_list(message, NIL);
}

_Noreturn void fail_at(place where, const char *message, value irritant)
{
    lisp.procedure = NULL;
    lisp.where = where;
    fail(message, irritant);
}

_Noreturn void fail_memory(void)
{
    struct record *record = record_of(lisp.roots.memory_condition);
    store(&record->field[PLACE], fixnum((int64_t)lisp.where));
    raise_value(lisp.roots.memory_condition);
}

_Noreturn void stack_fail(void)
{
    lisp.procedure = NULL;
    if (lisp.stack_limit == UINTPTR_MAX) {
        lisp.stack_limit = lisp.stack_bottom;
        fail_plain("interrupted");
    }
    fail_plain("recursion too deep");
}

bool catch_errors(value (*function)(void *data), void *data, value *result)
{
    struct catch catch = {.outer = lisp.catch};
    volatile unsigned depth = lisp.depth;
    if (setjmp(catch.jump)) {
        lisp.depth = depth;
        *result = catch.condition;
        return false;
    }
    lisp.catch = &catch;
    *result = function(data);
    lisp.catch = catch.outer;
    return true;
}

/* ---- report -------------------------------------------------------------------------------------------- */

static void place_report(struct text *text, place where)
{
    if (where == 0) return;
    size_t file = where >> 48;
    if (file < vector_of(lisp.roots.files)->head.count)
        string_text(vector_of(lisp.roots.files)->item[file], text);
    char numbers[64];
    int length =
        snprintf(numbers, sizeof numbers, ":%lu:%lu: ", (unsigned long)(where >> 16 & 0xffffffff),
                 (unsigned long)(where & 0xffff));
    text_add(text, numbers, (size_t)length);
}

static void condition_text(value condition, struct text *text)
{
    if (!is_kind(condition, KIND_CONDITION)) {
        text_add(text, "raised: ", 8);
        print_value(text, condition, true);
        return;
    }
    struct record *record = record_of(condition);
    place_report(text, (place)fixnum_get(record->field[PLACE]));
    print_value(text, record->field[MESSAGE], false);
    for (value l = record->field[IRRITANTS]; is_pair(l); l = cdr(l)) {
        text_add(text, l == record->field[IRRITANTS] ? ": " : " ",
                 l == record->field[IRRITANTS] ? 2 : 1);
        print_value(text, car(l), true);
    }
}

void condition_report(value condition)
{
    struct text text = {0};
    condition_text(condition, &text);
    text_add(&text, "\n", 1);
    port_flush(lisp.roots.standard_output);
    fwrite(text.bytes, 1, text.count, stderr);
}

/* ---- builtins ------------------------------------------------------------------------------------------ */

static value builtin_error(unsigned argc, value *argv)
{
    struct list irritants = {NIL, NIL};
    for (unsigned i = 1; i < argc; i++) list_add(&irritants, argv[i]);
    value message = argv[0];
    if (!is_kind(message, KIND_STRING)) {
        struct text text = {0};
        print_value(&text, message, true);
        message = string_from(text.bytes, text.count);
    }
    raise_value(condition_new(message, irritants.head, lisp.where));
}

static value builtin_raise(unsigned argc, value *argv)
{
    (void)argc;
    raise_value(argv[0]);
}

static value call_thunk(void *data)
{
    return call_procedure(*(value *)data, 0, NULL);
}

/* (catch-errors thunk handler): what the thunk returns, or what the handler makes of the condition. */
static value builtin_catch(unsigned argc, value *argv)
{
    value result;
    (void)argc;
    if (catch_errors(call_thunk, &argv[0], &result)) return result;
    return call_procedure(argv[1], 1, &result);
}

static value builtin_is_condition(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_kind(argv[0], KIND_CONDITION));
}

static value condition_field(value condition, unsigned field)
{
    arg_kind(condition, KIND_CONDITION, "not an error object");
    return record_of(condition)->field[field];
}

static value builtin_message(unsigned argc, value *argv)
{
    (void)argc;
    return condition_field(argv[0], MESSAGE);
}

static value builtin_irritants(unsigned argc, value *argv)
{
    (void)argc;
    return condition_field(argv[0], IRRITANTS);
}

/* As it is written at the top level, with the place. */
static value builtin_text(unsigned argc, value *argv)
{
    struct text text = {0};
    (void)argc;
    condition_text(argv[0], &text);
    return string_from(text.bytes, text.count);
}

static const struct builtin_row rows[] = {
    {"error", builtin_error, 1, -1},
    {"raise", builtin_raise, 1, 1},
    {"catch-errors", builtin_catch, 2, 2},
    {"error-object?", builtin_is_condition, 1, 1},
    {"error-object-message", builtin_message, 1, 1},
    {"error-object-irritants", builtin_irritants, 1, 1},
    {"error-object->string", builtin_text, 1, 1},
};

void error_define(void)
{
    value message = string_from("out of memory", 13);
    store(&lisp.roots.memory_condition, condition_new(message, NIL, 0));
    BUILTINS_DEFINE(rows);
}
