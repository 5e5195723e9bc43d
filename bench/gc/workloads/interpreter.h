// The values of the interpreter (interpreter.c), which lie in objects that the kit has:
//
//      number       ...xxxxxxx1   63 bits and no memory
//      constant     ...xxxxx010   false, true, nothing
//      primitive    ...xxxxx100   by its number in primitive_names
//      ()           0
//      otherwise    the address of a node, whose `value` says what its two references are:
//
//                   left              right
//      PAIR         first             rest
//      SYMBOL       global value      name, of bytes         and above SHAPE_BITS a number of enum form
//      CLOSURE      (names body...)   scope
//      VECTOR       array             length
//
// A scope is a list of trees, innermost first: left the next one, right the value, blob the symbol. So
// a call allocates 32 bytes for each argument, and a closure keeps the scope that it was made in.
#ifndef BENCH_GC_INTERPRETER_H
#define BENCH_GC_INTERPRETER_H

#include "kit/job.h"

typedef struct node *value;

enum shape { SHAPE_PAIR, SHAPE_SYMBOL, SHAPE_CLOSURE, SHAPE_VECTOR };
enum { SHAPE_BITS = 8 };

enum form { NO_FORM, QUOTE, IF, DEFINE, SET, LAMBDA, LET, LETREC, BEGIN, FORMS };

#define FALSE ((value)0x02)
#define TRUE ((value)0x0a)
#define NOTHING ((value)0x12)

static inline value number_make(int64_t number)
{
    return (value)((uintptr_t)number << 1 | 1);
}

static inline int64_t number_of(value number)
{
    if (!((uintptr_t)number & 1)) fail("a number was expected");
    return (intptr_t)number >> 1;
}

static inline value primitive_make(unsigned number)
{
    return (value)((uintptr_t)number << 3 | 4);
}

static inline bool is_primitive(value any)
{
    return ((uintptr_t)any & 7) == 4;
}

static inline bool is_node(value any)
{
    return any && !((uintptr_t)any & 7);
}

static inline bool is_shaped(value any, enum shape shape)
{
    return is_node(any) && (any->value & ((1 << SHAPE_BITS) - 1)) == shape;
}

static inline value shaped_make(enum shape shape, void *left, void *right)
{
    value made = node_new();
    INIT(made, &made->left, left);
    INIT(made, &made->right, right);
    made->value = shape;
    return made;
}

static inline value pair_make(value first, value rest)
{
    return shaped_make(SHAPE_PAIR, first, rest);
}

static inline value first_of(value pair)
{
    if (!is_shaped(pair, SHAPE_PAIR)) fail("a pair was expected");
    return pair->left;
}

static inline value rest_of(value pair)
{
    if (!is_shaped(pair, SHAPE_PAIR)) fail("a pair was expected");
    return pair->right;
}

// --- reading (interpreter_read.c) ----------------------------------------------------------------

// Makes the table of symbols, in roots[0], with the names of forms and primitives in it.
void symbols_make(void);

// The next value that the text begins with, which is moved on behind it.
value value_read(const char **text);

// --- evaluating (interpreter_eval.c) -------------------------------------------------------------

value value_eval(value expression, struct tree *scope);

// --- primitives (interpreter_primitive.c) --------------------------------------------------------

extern const char *const primitive_names[]; // ends with NULL

// Takes as many of `arguments` as it has parameters; `count` must be their number.
enum { ARGUMENTS_MOST = 3 };
value primitive_call(value primitive, value *arguments, unsigned count);

#endif
