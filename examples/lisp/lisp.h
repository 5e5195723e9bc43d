/*
 * The interpreter as a whole: its state, errors, and what each file defines.
 *
 * There is one interpreter in a process and its state is one variable: a context handed to every
 * function was tried and costs a register in each node, for a second interpreter that nobody starts.
 * What of the state refers to objects is in `roots`, which the heap knows exactly; static data is
 * not searched.
 */
#ifndef LISP_LISP_H
#define LISP_LISP_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t value;

/* A place in a source: index of the file's name, line, column; 0 unknown. */
typedef uint64_t place;

/* An error goes to the innermost catch. */
struct catch
{
    jmp_buf jump;
    struct catch *outer;
    value condition;
};

struct lisp {
    struct fh_gc_heap *heap;
    uintptr_t stack_limit; /* calls below this address fail; UINTPTR_MAX: interrupted */
    uintptr_t stack_bottom;
    unsigned depth;        /* of the expression that is being expanded */
    unsigned argc;         /* of the call that TAIL_CALL left in the frame */
    place where;           /* of the call that is running */
    const char *procedure; /* builtin that is running */
    struct catch *catch;
    struct lisp_roots {
        value no_variables;  /* an empty vector */
        value symbols;       /* a vector, hashed by name */
        value files;         /* a vector of the names of sources */
        value input, output; /* the current ports */
        value standard_output;
        struct fh_gc_table *places; /* of the lists of the form that is being compiled */
        value memory_condition;     /* the error that memory is out, made when there was some */
        value quote, quasiquote, unquote, unquote_splicing, lambda, define, begin, set, dots, arrow,
            otherwise, let, cond, branch;
        struct { /* as they were at the start, whatever programs define */
            value cons, append, list_to_vector, catch_errors, raise, promise, with_values,
                record_type, record_make, record_is, record_get, record_put;
        } builtin;
    } roots;
};

extern struct lisp lisp;

/* ---- errors (error.c) ------------------------------------------------------------------------------ */

/* Raises an error about a thing: "car: not a pair: 5". fail_plain: about nothing; fail_list: about each. */
_Noreturn void fail_list(const char *message, value irritants);
_Noreturn void fail(const char *message, value irritant);
_Noreturn void fail_plain(const char *message);
_Noreturn void fail_at(place where, const char *message, value irritant);
_Noreturn void fail_memory(void);
_Noreturn void raise_value(value condition);

/* Runs function(data); true and the result, or false and the condition that was raised. */
bool catch_errors(value (*function)(void *data), void *data, value *result);
/* Writes what a condition says to standard error: "file:line:column: message: irritants". */
void condition_report(value condition);
/* The stack is nearly full, or the user has pressed Ctrl-C. */
_Noreturn void stack_fail(void);

static inline void stack_check(void)
{
    if (__builtin_expect((uintptr_t)__builtin_frame_address(0) < lisp.stack_limit, 0)) stack_fail();
}

/* ---- programs (syntax.c, eval.c) ---------------------------------------------------------------- */

value eval_form(value form);
/* Calls a procedure from C. */
value call_procedure(value procedure, unsigned argc, const value *argv);
value call_with_list(value procedure, value arguments);

/* ---- builtins, one function for each file that defines some ---------------------------------------- */

void value_start(void);
void error_define(void);
void number_define(void);
void list_define(void);
void string_define(void);
void vector_define(void);
void table_define(void);
void port_define(void);
void read_define(void);
void print_define(void);
void control_define(void);
void record_define(void);
void syntax_define(void);

#endif
