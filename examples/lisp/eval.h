/* What running nodes has in common: eval.c and primitive.c. */
#ifndef LISP_EVAL_H
#define LISP_EVAL_H

#include "node.h"

/* The value of a node; names of plain slots and constants, which are most operands, without a call. */
static inline value operand(struct node *node, value *fp)
{
    if (node->kind == NODE_LOCAL) return fp[node->slot];
    if (node->kind == NODE_CONSTANT) return node->datum;
    return node->run(node, fp);
}

value builtin_apply(unsigned argc, value *argv);

#endif
