/*
 * A stack of values in the heap, for what must not recurse in C: data may be nested a million deep.
 * The struct lies on the C stack, which the collector searches.
 */
#ifndef LISP_STACK_H
#define LISP_STACK_H

#include "value.h"

struct stack {
    value *items;
    size_t count, capacity;
};

void stack_grow(struct stack *stack);

static inline void stack_push(struct stack *stack, value v)
{
    if (stack->count == stack->capacity) stack_grow(stack);
    store(&stack->items[stack->count++], v);
}

static inline value stack_pop(struct stack *stack)
{
    return stack->items[--stack->count];
}

#endif
