/*
 * Linking: each variable gets a slot of its procedure's frame, each node the function that runs it.
 *
 * Slots are given out as a stack while the tree is walked: what a let holds is free again after its
 * body. A name that belongs to a procedure further out is captured by every procedure between: each
 * copies it from the one around it when it is made.
 *
 *      node_link(node, frame, tail)     tail: what the node returns is what the procedure returns
 */
#include "node.h"

#include "args.h"

enum { SLOTS_MAX = 8000 }; /* frames lie on the C stack, below its check */

struct frame {
    struct frame *outer;
    struct list captured; /* variables, in the order of the procedure's copies */
    uint32_t top, most;   /* slots */
};

static void node_link(struct node *node, struct frame *frame, bool tail);

static uint32_t slots_take(struct frame *frame, uint32_t count)
{
    uint32_t slot = frame->top;
    frame->top += count;
    if (frame->top > frame->most) frame->most = frame->top;
    if (frame->most > SLOTS_MAX) syntax_fail("too many variables in a procedure", FALSE);
    return slot;
}

/* ---- variables --------------------------------------------------------------------------------------- */

static struct variable *variable_at(value variables, uint32_t i)
{
    return (struct variable *)vector_of(variables)->item[i];
}

static uint32_t variable_count(value variables)
{
    return vector_of(variables)->head.count;
}

static void variable_place(value variable, struct frame *frame, uint32_t slot)
{
    ((struct variable *)variable)->frame = frame;
    ((struct variable *)variable)->slot = slot;
}

/* The index of what the procedure captures. */
static uint32_t captured_index(struct frame *frame, struct variable *variable)
{
    uint32_t index = 0;
    for (value l = frame->captured.head; l != NIL; l = cdr(l), index++)
        if (car(l) == (value)variable) return index;
    if (frame->outer == NULL) syntax_fail("a variable has no frame", variable->name);
    list_add(&frame->captured, (value)variable);
    return index;
}

static enum reference variable_reach(struct node *node, struct variable *variable,
                                     struct frame *frame)
{
    bool local = variable->frame == frame, boxed = variable_is_boxed(variable);
    node->slot = local ? variable->slot : captured_index(frame, variable);
    if (!local) return boxed ? REFERENCE_CAPTURED_BOX : REFERENCE_CAPTURED;
    return boxed ? REFERENCE_LOCAL_BOX : variable->early ? REFERENCE_LOCAL_EARLY : REFERENCE_LOCAL;
}

static void link_variable(struct node *node, struct frame *frame)
{
    enum reference reference = variable_reach(node, (struct variable *)node->datum, frame);
    if (reference == REFERENCE_LOCAL) node->kind = NODE_LOCAL;
    node->run = run_of_reference(reference);
}

static void link_assign(struct node *node, struct frame *frame)
{
    node_link(node->child[0], frame, false);
    node->run = run_of_assignment(variable_reach(node, (struct variable *)node->datum, frame));
}

/* A vector of the slots, as fixnums, of those variables that are boxed; FALSE for none. */
static value boxed_slots(value variables)
{
    struct list slots = {NIL, NIL};
    for (uint32_t i = 0; i < variable_count(variables); i++) {
        struct variable *variable = variable_at(variables, i);
        if (variable_is_boxed(variable)) list_add(&slots, fixnum(variable->slot));
    }
    return slots.head == NIL ? FALSE : list_to_vector(slots.head);
}

/* Children that are evaluated into slots in a row, each above what was evaluated before. */
static uint32_t link_row(struct node *node, uint32_t first, uint32_t count, struct frame *frame)
{
    uint32_t base = frame->top;
    for (uint32_t i = 0; i < count; i++) {
        node_link(node->child[first + i], frame, false);
        slots_take(frame, 1);
    }
    return base;
}

/* ---- procedures ------------------------------------------------------------------------------------------ */

/* A node that boxes arguments before the body. */
static struct node *boxes_before(value boxes, struct node *body)
{
    struct node *node = node_new(NODE_SEQUENCE, 1);
    store(&node->datum, boxes);
    store_object(&node->child[0], body);
    node->run = run_boxes;
    return node;
}

/* Where the frame around finds what the procedure captures: the slot of its frame, or -1 - index. */
static value capture_sources(struct frame *inner, struct frame *frame)
{
    struct list sources = {NIL, NIL};
    for (value l = inner->captured.head; l != NIL; l = cdr(l)) {
        struct variable *variable = (struct variable *)car(l);
        int64_t source = variable->frame == frame ? (int64_t)variable->slot
                                                  : -1 - (int64_t)captured_index(frame, variable);
        list_add(&sources, fixnum(source));
    }
    return list_to_vector(sources.head);
}

static void link_lambda(struct node *node, struct frame *frame)
{
    struct code *code = (struct code *)node->datum;
    struct frame inner = {.outer = frame, .captured = {NIL, NIL}};
    uint32_t count = variable_count(node->extra);
    slots_take(&inner, 1 + count);
    for (uint32_t i = 0; i < count; i++)
        variable_place(vector_of(node->extra)->item[i], &inner, 1 + i);
    node_link(node->child[0], &inner, true);
    value boxes = boxed_slots(node->extra);
    store_object(&code->body,
                 boxes == FALSE ? node->child[0] : boxes_before(boxes, node->child[0]));
    code->frame = inner.most;
    store(&node->extra, capture_sources(&inner, frame));
    node->run = run_lambda;
}

/* ---- calls ------------------------------------------------------------------------------------------------- */

static struct loop *loop_called(struct node *node)
{
    struct node *procedure = node->child[0];
    if (procedure->kind != NODE_VARIABLE) return NULL;
    struct loop *loop = ((struct variable *)procedure->datum)->loop;
    return loop && loop->head.count == 0 ? loop : NULL;
}

static void link_jump(struct node *node, struct loop *loop, struct frame *frame)
{
    node->spare = link_row(node, 1, node->count - 1, frame);
    node->slot = loop->slot;
    store(&node->datum, loop->mark);
    store(&node->extra, boxed_slots(loop->variables));
    node->run = run_jump;
}

static run_fn *primitive_of(struct node *node)
{
    struct node *procedure = node->child[0];
    if (procedure->kind != NODE_GLOBAL) return NULL;
    value builtin = symbol_of(procedure->datum)->global;
    run_fn *run =
        is_kind(builtin, KIND_BUILTIN) ? run_of_primitive(builtin, node->count - 1) : NULL;
    if (run == NULL) return NULL;
    store(&node->datum, procedure->datum);
    store(&node->extra, builtin);
    return run;
}

static void link_call(struct node *node, struct frame *frame, bool tail)
{
    uint32_t top = frame->top;
    struct loop *loop = loop_called(node);
    run_fn *primitive = primitive_of(node);
    if (loop) {
        link_jump(node, loop, frame);
    } else {
        node->slot = link_row(node, 0, node->count, frame);
        node->run = primitive ? primitive : tail ? run_tail_call : run_call;
    }
    frame->top = top;
    /* A tail call leaves its arguments at the beginning of the frame. */
    if (frame->most < node->count) frame->most = node->count;
}

/* ---- let, loops, bodies ------------------------------------------------------------------------------------ */

static void link_let(struct node *node, struct frame *frame, bool tail)
{
    uint32_t count = node->count - 1, top = frame->top;
    node->slot = link_row(node, 0, count, frame);
    for (uint32_t i = 0; i < count; i++)
        variable_place(vector_of(node->extra)->item[i], frame, node->slot + i);
    node_link(node->child[count], frame, tail);
    store(&node->extra, boxed_slots(node->extra));
    node->run = count == 1 && node->extra == FALSE ? run_let_one : run_let;
    frame->top = top;
}

static struct node *node_of_variable(struct variable *variable)
{
    struct node *node = node_new(NODE_VARIABLE, 0);
    store_object(&node->datum, variable);
    return node;
}

static struct node *lambda_of_loop(struct node *node, struct loop *loop)
{
    struct code *code = code_new();
    struct node *lambda = node_new(NODE_LAMBDA, 1);
    code->required = node->count - 1;
    store(&code->name, loop->name->name);
    store_object(&lambda->datum, code);
    store(&lambda->extra, node->extra);
    store_object(&lambda->child[0], node->child[node->count - 1]);
    return lambda;
}

/* A named let that is no loop: ((letrec ((name (lambda variables body))) name) values...). */
static struct node *loop_to_body(struct node *node, struct loop *loop)
{
    struct node *body = node_new(NODE_BODY, 2), *fix = node_new(NODE_FIX, 1);
    struct node *call = node_new(NODE_CALL, node->count);
    value variables = list_to_vector(cons((value)loop->name, NIL));
    store(&fix->extra, variables);
    store_object(&fix->child[0], lambda_of_loop(node, loop));
    store_object(&call->child[0], node_of_variable(loop->name));
    for (uint32_t i = 1; i < node->count; i++) store_object(&call->child[i], node->child[i - 1]);
    store(&body->extra, variables);
    store_object(&body->child[0], fix);
    store_object(&body->child[1], call);
    return body;
}

static void link_loop(struct node *node, struct frame *frame, bool tail)
{
    struct loop *loop = (struct loop *)node->datum;
    uint32_t count = node->count - 1, top = frame->top;
    loop->slot = node->slot = link_row(node, 0, count, frame);
    for (uint32_t i = 0; i < count; i++)
        variable_place(vector_of(node->extra)->item[i], frame, node->slot + i);
    node_link(node->child[count], frame, tail);
    store(&node->datum, loop->mark);
    store(&node->extra, boxed_slots(node->extra));
    node->run = run_loop;
    frame->top = top;
}

/* Early variables, which something may look at before their definition, begin as undefined. */
static value early_slots(value variables)
{
    struct list slots = {NIL, NIL};
    for (uint32_t i = 0; i < variable_count(variables); i++)
        if (variable_at(variables, i)->early)
            list_add(&slots, fixnum(variable_at(variables, i)->slot));
    return list_to_vector(slots.head);
}

static void link_body(struct node *node, struct frame *frame, bool tail)
{
    uint32_t count = variable_count(node->extra), top = frame->top;
    node->slot = slots_take(frame, count);
    for (uint32_t i = 0; i < count; i++)
        variable_place(vector_of(node->extra)->item[i], frame, node->slot + i);
    for (uint32_t i = 0; i < node->count; i++)
        node_link(node->child[i], frame, tail && i + 1 == node->count);
    store(&node->datum, early_slots(node->extra));
    store(&node->extra, boxed_slots(node->extra));
    node->run = run_body;
    frame->top = top;
}

/* `datum`: a slot for each procedure; `extra`: which of them are boxes. */
static void link_fix(struct node *node, struct frame *frame)
{
    struct list slots = {NIL, NIL}, boxes = {NIL, NIL};
    for (uint32_t i = 0; i < node->count; i++) {
        struct variable *variable = variable_at(node->extra, i);
        node_link(node->child[i], frame, false);
        list_add(&slots, fixnum(variable->slot));
        list_add(&boxes, boolean(variable_is_boxed(variable)));
    }
    store(&node->datum, list_to_vector(slots.head));
    store(&node->extra, list_to_vector(boxes.head));
    node->run = run_fix;
}

/* ---- all kinds ----------------------------------------------------------------------------------------------- */

/* Children of which only those from `tail_from` on end what the node does. */
static void link_children(struct node *node, run_fn *run, struct frame *frame, bool tail,
                          uint32_t tail_from)
{
    for (uint32_t i = 0; i < node->count; i++)
        node_link(node->child[i], frame, tail && i >= tail_from);
    node->run = run;
}

static void link_loop_or_call(struct node *node, struct frame *frame, bool tail)
{
    struct loop *loop = (struct loop *)node->datum;
    if (loop->head.count == 0) return link_loop(node, frame, tail);
    struct node *body = loop_to_body(node, loop);
    node_link(body, frame, tail);
    store_object(&node->child[0], body);
    node->run = run_first;
}

static void node_link(struct node *node, struct frame *frame, bool tail)
{
    stack_check();
    lisp.where = node->where;
    switch ((enum node_kind)node->kind) {
    case NODE_LOCAL:
    case NODE_CONSTANT: node->run = run_constant; return;
    case NODE_VARIABLE: return link_variable(node, frame);
    case NODE_GLOBAL: node->run = run_global; return;
    case NODE_ASSIGN: return link_assign(node, frame);
    case NODE_ASSIGN_GLOBAL: return link_children(node, run_assign_global, frame, false, 0);
    case NODE_DEFINE: return link_children(node, run_define, frame, false, 0);
    case NODE_IF: return link_children(node, run_if, frame, tail, 1);
    case NODE_SEQUENCE: return link_children(node, run_sequence, frame, tail, node->count - 1);
    case NODE_AND: return link_children(node, run_and, frame, tail, node->count - 1);
    case NODE_OR: return link_children(node, run_or, frame, tail, node->count - 1);
    case NODE_CASE: return link_children(node, run_case, frame, tail, 1);
    case NODE_CALL: return link_call(node, frame, tail);
    case NODE_LAMBDA: return link_lambda(node, frame);
    case NODE_LET: return link_let(node, frame, tail);
    case NODE_LOOP: return link_loop_or_call(node, frame, tail);
    case NODE_BODY: return link_body(node, frame, tail);
    case NODE_FIX: return link_fix(node, frame);
    }
}

struct code *link_program(struct node *body)
{
    struct code *code = code_new();
    struct frame frame = {.captured = {NIL, NIL}, .top = 1, .most = 1};
    place where = lisp.where;
    node_link(body, &frame, true);
    lisp.where = where;
    code->frame = frame.most;
    store(&code->name, FALSE);
    store_object(&code->body, body);
    return code;
}
