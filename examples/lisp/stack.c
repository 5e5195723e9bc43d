/* See stack.h. */
#include "stack.h"

void stack_grow(struct stack *stack)
{
    size_t capacity = stack->capacity ? stack->capacity * 2 : 64;
    value *items = allocated(fh_gc_new_pointers(lisp.heap, capacity));
    if (stack->count)
        fh_gc_store_range(lisp.heap, items, stack->items, stack->count * sizeof *items);
    stack->items = items;
    stack->capacity = capacity;
}
