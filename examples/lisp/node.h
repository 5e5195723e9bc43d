/*
 * Compiled code: a tree of nodes in the heap, each with the function that runs it.
 *
 *      form --expand (syntax.c, special.c)--> nodes that know their variables
 *           --link (link.c)-->                nodes that know their slots, and how they run (eval.c)
 *
 * A call has a frame of words on the C stack, where the collector finds what they refer to and no store
 * needs a barrier:
 *
 *      0            1 ...        arguments    variables of lets and loops        scratch
 *     +-----------+----+----+---+------------+----------------------------------+-------+
 *     | procedure | a0 | a1 |...             | x | y | ...                      | ...   |
 *     +-----------+----+----+---+------------+----------------------------------+-------+
 *
 * A procedure copies what it captures, so frames never outlive their call; a variable that is captured
 * and also assigned, or captured before it has a value, lies in a box.
 *
 * A tail call leaves procedure and arguments in the frame it is in and returns TAIL_CALL: the loop that
 * entered the frame goes on with them. A named let whose name is only called, in tail position, is a
 * loop in the frame of its procedure; a call of it is a jump, which returns the loop's own mark.
 *
 * Rejected: frames in the heap, as first-class continuations would want them: ten times the garbage and
 * a barrier for each variable; byte code: no faster than nodes until it has registers and types.
 */
#ifndef LISP_NODE_H
#define LISP_NODE_H

#include "value.h"

struct node;
typedef value run_fn(struct node *node, value *fp);

enum node_kind {
    NODE_CONSTANT, /* datum */
    NODE_VARIABLE, /* datum: the variable */
    NODE_LOCAL,    /* what a variable is after linking, if it is a plain slot of the frame */
    NODE_GLOBAL,   /* datum: the symbol */
    NODE_ASSIGN,   /* datum: the variable; value */
    NODE_ASSIGN_GLOBAL,
    NODE_DEFINE,
    NODE_IF,
    NODE_SEQUENCE,
    NODE_AND,
    NODE_OR,
    NODE_CASE,   /* datum: a vector of vectors of keys; key, bodies, otherwise */
    NODE_CALL,   /* procedure, arguments */
    NODE_LAMBDA, /* datum: the code; extra: variables, then what is captured; body */
    NODE_LET,    /* extra: variables; initial values, body */
    NODE_LOOP,   /* datum: the loop; extra: variables; initial values, body */
    NODE_BODY,   /* extra: variables; definitions and expressions */
    NODE_FIX,    /* extra: variables; as many lambdas, which may refer to each other */
};

struct node {
    run_fn *run;
    uint32_t kind;  /* enum node_kind */
    uint32_t count; /* of children */
    uint32_t slot;  /* of the frame, or index of what was captured */
    uint32_t spare;
    place where;
    value datum, extra;
    struct node *child[];
};

static_assert(sizeof(struct node) == 48, "a node is three granules and its children");

/* ---- while compiling --------------------------------------------------------------------------- */

struct loop;

struct variable {
    struct object head;
    value name;
    bool captured;     /* by a procedure inside */
    bool assigned;     /* by set! */
    bool initialized;  /* what is expanded now runs after its definition */
    bool early;        /* is used by what may run before */
    struct loop *loop; /* the named let that it is the name of, or NULL */
    uint32_t slot;
    void *frame; /* while linking: the frame it is in */
};

/* A named let, a loop until something says that it is not. */
struct loop {
    struct object head; /* count: 1 failed */
    value used;         /* list of variables outside of it that are used inside */
    struct loop *tail;  /* next outer loop of which it is in tail position */
    struct variable *name;
    value variables; /* vector */
    value mark;      /* what a jump returns */
    uint32_t slot;   /* of its first variable */
};

/* Where names are looked up: on the C stack, while its form is expanded. */
struct scope {
    struct scope *outer;
    value variables;   /* vector */
    bool is_procedure; /* what lies outside is captured */
    struct loop *loop; /* the same if this one fails, or NULL */
};

static inline bool variable_is_boxed(const struct variable *variable)
{
    return variable->captured && (variable->assigned || variable->early);
}

struct node *node_new(enum node_kind kind, unsigned count);
struct node *node_constant(value datum);

/* Expands a form; `tail`: the innermost loop of which it is in tail position, or NULL. */
struct node *expand(value form, struct scope *scope, struct loop *tail);
struct node *expand_sequence(value forms, struct scope *scope, struct loop *tail);
/* Forms that may begin with definitions. */
struct node *expand_body(value forms, struct scope *scope, struct loop *tail);
struct node *expand_named(value name, value form, struct scope *scope);
struct node *expand_lambda(value name, value parameters, value body, struct scope *scope);
/* The value of (define ...), which may be (define (name ...) ...). */
value define_value(value form);
/* A record definition as a (begin ...) of definitions. */
value record_forms(value form);
/* One step if the form is the use of a macro: true and what it becomes. */
bool expand_macro(value *form, struct scope *scope);
/* The special form that the form is, or 0. */
unsigned special_of(value form, struct scope *scope);
struct node *special_expand(unsigned special, value form, struct scope *scope, struct loop *tail);
_Noreturn void syntax_fail(const char *message, value form);

struct variable *variable_new(value name);
/* A vector of new variables of these names. */
value variables_new(value names);
struct loop *loop_new(struct variable *name, value variables, struct loop *tail);
struct variable *scope_variable(struct scope *scope, value name);
/* The variable of a name, or NULL if it is global; notes how it is used. `called`: as the procedure of a
 * call that is in tail position of `tail`. */
struct variable *scope_use(struct scope *scope, value name, bool called, struct loop *tail);

/* Special forms that others are expanded to. */
enum special {
    SPECIAL_NONE,
    SPECIAL_QUOTE,
    SPECIAL_QUASIQUOTE,
    SPECIAL_IF,
    SPECIAL_DEFINE,
    SPECIAL_SET,
    SPECIAL_LAMBDA,
    SPECIAL_LET,
    SPECIAL_LET_STAR,
    SPECIAL_LETREC,
    SPECIAL_BEGIN,
    SPECIAL_COND,
    SPECIAL_CASE,
    SPECIAL_AND,
    SPECIAL_OR,
    SPECIAL_WHEN,
    SPECIAL_UNLESS,
    SPECIAL_DO,
    SPECIAL_DELAY,
    SPECIAL_GUARD,
    SPECIAL_RECEIVE,
    SPECIAL_RECORD,
    SPECIAL_MACRO,
    SPECIAL_SYNTAX,
};

struct node *derived_expand(unsigned special, value form, struct scope *scope, struct loop *tail);
value quasiquote_form(value template);
value rules_apply(value rules, value form);

/* Gives the nodes of a top-level form their slots and functions; returns its code. */
struct code *link_program(struct node *body);

/* ---- running (eval.c) --------------------------------------------------------------------------- */

enum reference {
    REFERENCE_LOCAL,
    REFERENCE_LOCAL_BOX,
    REFERENCE_LOCAL_EARLY,
    REFERENCE_CAPTURED,
    REFERENCE_CAPTURED_BOX
};

run_fn *run_of_reference(enum reference reference);
run_fn *run_of_assignment(enum reference reference);
/* How a call of this builtin with so many arguments runs inline, or NULL. */
run_fn *run_of_primitive(value builtin, unsigned argc);

run_fn run_constant, run_global, run_assign_global, run_define, run_if, run_sequence, run_and,
    run_or, run_case, run_call, run_tail_call, run_lambda, run_let, run_let_one, run_boxes,
    run_loop, run_jump, run_body, run_fix, run_first;

#endif
