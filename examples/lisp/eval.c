/*
 * Running nodes. Each function here runs one kind of node; node.h says what a frame is and how tail
 * calls and jumps return.
 *
 * enter() is the loop that every call ends in. A frame that is too small for the procedure that a tail
 * call goes to is replaced by a larger one, at least twice as large, so that no chain of tail calls
 * can fill the stack.
 */
#include "node.h"

#include <alloca.h>

#include "args.h"
#include "eval.h"
#include "read.h"

/* ---- arguments ----------------------------------------------------------------------------------------- */

static _Noreturn void arguments_fail(value procedure, unsigned argc)
{
    lisp.procedure = NULL;
    fail_list("wrong number of arguments", cons(procedure, cons(fixnum(argc), NIL)));
}

/* The arguments after the required ones become a list in the next slot. */
static void arguments_collect(value *frame, const struct code *code, unsigned argc)
{
    if (argc < code->required || code->head.count == 0) arguments_fail(frame[0], argc);
    value rest = NIL;
    for (unsigned i = argc; i > code->required; i--) rest = cons(frame[i], rest);
    frame[code->required + 1] = rest;
}

static value builtin_call(value procedure, unsigned argc, value *argv)
{
    if (!is_kind(procedure, KIND_BUILTIN)) {
        lisp.procedure = NULL;
        fail("not a procedure", procedure);
    }
    struct builtin *builtin = builtin_of(procedure);
    if (argc < (unsigned)builtin->least || (builtin->most >= 0 && argc > (unsigned)builtin->most))
        arguments_fail(procedure, argc);
    lisp.procedure = builtin->name;
    return builtin->function(argc, argv);
}

/* ---- calls ----------------------------------------------------------------------------------------------- */

static unsigned frame_size(value procedure, unsigned argc)
{
    unsigned size = is_kind(procedure, KIND_CLOSURE) ? closure_of(procedure)->code->frame : 0;
    return size > argc + 2 ? size : argc + 2;
}

/* Room for a frame on the stack? */
static void frame_check(size_t size)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (here >= lisp.stack_bottom && (here - lisp.stack_bottom) / sizeof(value) >= size) return;
    if (size < 10000) stack_fail();
    fail_plain("too many arguments");
}

/* How many arguments (apply procedure argument ... list) passes on. */
static unsigned apply_count(const value *frame, unsigned argc)
{
    int64_t length = argc < 2 ? -1 : list_length(frame[argc]);
    lisp.procedure = "apply";
    if (length < 0) fail("not a list", argc ? frame[argc] : FALSE);
    frame_check(((size_t)length + argc) * 2);
    return argc - 2 + (unsigned)length;
}

static void apply_spread(value *frame, unsigned argc)
{
    value list = frame[argc];
    memmove(frame, frame + 1, (argc - 1) * sizeof *frame);
    for (value *next = frame + argc - 1; list != NIL; list = cdr(list)) *next++ = car(list);
}

static bool is_apply(value procedure)
{
    return is_kind(procedure, KIND_BUILTIN) && builtin_of(procedure)->function == builtin_apply;
}

/* Runs the procedure in frame[0] with the arguments behind it. */
static inline value enter(value *frame, unsigned size, unsigned argc)
{
    stack_check();
    for (;;) {
        value procedure = frame[0];
        if (!is_kind(procedure, KIND_CLOSURE)) {
            if (!is_apply(procedure)) return builtin_call(procedure, argc, frame + 1);
            unsigned count = apply_count(frame, argc);
            if (count + 2 > size) {
                size = (count + 2) * 2;
                frame = memcpy(alloca(size * sizeof *frame), frame, (argc + 1) * sizeof *frame);
            }
            apply_spread(frame, argc);
            argc = count;
            continue;
        }
        const struct code *code = closure_of(procedure)->code;
        if (__builtin_expect(code->frame > size, 0)) {
            size = code->frame * 2;
            frame = memcpy(alloca(size * sizeof *frame), frame, (argc + 1) * sizeof *frame);
        }
        if (__builtin_expect(argc != code->required || code->head.count, 0))
            arguments_collect(frame, code, argc);
        value result = code->body->run(code->body, frame);
        if (__builtin_expect(result != TAIL_CALL, 1)) return result;
        argc = lisp.argc;
    }
}

value run_call(struct node *node, value *fp)
{
    unsigned argc = node->count - 1;
    value procedure = operand(node->child[0], fp);
    if (!is_kind(procedure, KIND_CLOSURE)) {
        value *arguments = fp + node->slot + 1;
        for (unsigned i = 0; i < argc; i++) arguments[i] = operand(node->child[i + 1], fp);
        lisp.where = node->where;
        return builtin_call(procedure, argc, arguments);
    }
    unsigned size = frame_size(procedure, argc);
    value *frame = alloca(size * sizeof *frame);
    frame[0] = procedure;
    for (unsigned i = 1; i <= argc; i++) frame[i] = operand(node->child[i], fp);
    lisp.where = node->where;
    return enter(frame, size, argc);
}

value run_tail_call(struct node *node, value *fp)
{
    unsigned argc = node->count - 1;
    value *arguments = fp + node->slot;
    for (unsigned i = 0; i <= argc; i++) arguments[i] = operand(node->child[i], fp);
    lisp.where = node->where;
    if (is_kind(arguments[0], KIND_BUILTIN) && !is_apply(arguments[0]))
        return builtin_call(arguments[0], argc, arguments + 1);
    for (unsigned i = 0; i <= argc; i++) fp[i] = arguments[i];
    lisp.argc = argc;
    return TAIL_CALL;
}

struct context {
    place where;
    const char *procedure;
};

static struct context context_save(void)
{
    return (struct context){lisp.where, lisp.procedure};
}

static value context_restore(struct context context, value result)
{
    lisp.where = context.where;
    lisp.procedure = context.procedure;
    return result;
}

value call_procedure(value procedure, unsigned argc, const value *argv)
{
    struct context context = context_save();
    unsigned size = frame_size(procedure, argc);
    frame_check(size);
    value *frame = alloca(size * sizeof *frame);
    frame[0] = procedure;
    if (argc) memcpy(frame + 1, argv, argc * sizeof *frame);
    return context_restore(context, enter(frame, size, argc));
}

value call_with_list(value procedure, value arguments)
{
    struct context context = context_save();
    int64_t argc = list_length(arguments);
    if (argc < 0) fail("not a list", arguments);
    frame_check((size_t)argc + 2);
    unsigned size = frame_size(procedure, (unsigned)argc);
    value *frame = alloca(size * sizeof *frame), *next = frame;
    *next++ = procedure;
    for (; arguments != NIL; arguments = cdr(arguments)) *next++ = car(arguments);
    return context_restore(context, enter(frame, size, (unsigned)argc));
}

/* (apply procedure argument ... list); enter() goes on in the frame of a tail call. */
value builtin_apply(unsigned argc, value *argv)
{
    struct context context = context_save();
    unsigned count = apply_count(argv - 1, argc);
    unsigned size = frame_size(argv[0], count + argc);
    value *frame = alloca(size * sizeof *frame);
    memcpy(frame + 1, argv, argc * sizeof *frame);
    apply_spread(frame, argc);
    return context_restore(context, enter(frame, size, count));
}

/* ---- names ------------------------------------------------------------------------------------------------- */

value run_constant(struct node *node, value *fp)
{
    return operand(node, fp);
}

static value run_captured(struct node *node, value *fp)
{
    return closure_of(fp[0])->captured[node->slot];
}

static inline value defined(struct node *node, value v)
{
    if (__builtin_expect(v == UNDEFINED, 0))
        fail_at(node->where, "used before its definition", ((struct variable *)node->datum)->name);
    return v;
}

static value run_local_early(struct node *node, value *fp)
{
    return defined(node, fp[node->slot]);
}

static value run_local_box(struct node *node, value *fp)
{
    return defined(node, ((struct box *)fp[node->slot])->content);
}

static value run_captured_box(struct node *node, value *fp)
{
    return defined(node, ((struct box *)run_captured(node, fp))->content);
}

run_fn *run_of_reference(enum reference reference)
{
    static run_fn *const runs[] = {run_constant, run_local_box, run_local_early, run_captured,
                                   run_captured_box};
    return runs[reference];
}

static value run_assign_local(struct node *node, value *fp)
{
    fp[node->slot] = operand(node->child[0], fp);
    return UNSPECIFIED;
}

static value run_assign_local_box(struct node *node, value *fp)
{
    value new = operand(node->child[0], fp);
    store(&((struct box *)fp[node->slot])->content, new);
    return UNSPECIFIED;
}

static value run_assign_captured_box(struct node *node, value *fp)
{
    value new = operand(node->child[0], fp);
    store(&((struct box *)run_captured(node, fp))->content, new);
    return UNSPECIFIED;
}

/* What is captured and assigned is in a box. */
run_fn *run_of_assignment(enum reference reference)
{
    static run_fn *const runs[] = {run_assign_local, run_assign_local_box, run_assign_local, NULL,
                                   run_assign_captured_box};
    return runs[reference];
}

value run_global(struct node *node, value *fp)
{
    (void)fp;
    value v = symbol_of(node->datum)->global;
    if (__builtin_expect(v == UNDEFINED, 0)) fail_at(node->where, "no such variable", node->datum);
    return v;
}

value run_assign_global(struct node *node, value *fp)
{
    value new = operand(node->child[0], fp);
    if (symbol_of(node->datum)->global == UNDEFINED)
        fail_at(node->where, "no such variable", node->datum);
    store(&symbol_of(node->datum)->global, new);
    return UNSPECIFIED;
}

value run_define(struct node *node, value *fp)
{
    value new = operand(node->child[0], fp);
    symbol_of(node->datum)->head.count = 0;
    store(&symbol_of(node->datum)->global, new);
    return UNSPECIFIED;
}

/* ---- control ------------------------------------------------------------------------------------------------ */

value run_if(struct node *node, value *fp)
{
    struct node *next = node->child[operand(node->child[0], fp) == FALSE ? 2 : 1];
    return operand(next, fp);
}

value run_sequence(struct node *node, value *fp)
{
    uint32_t last = node->count - 1;
    for (uint32_t i = 0; i < last; i++) node->child[i]->run(node->child[i], fp);
    return operand(node->child[last], fp);
}

value run_first(struct node *node, value *fp)
{
    return node->child[0]->run(node->child[0], fp);
}

value run_and(struct node *node, value *fp)
{
    uint32_t last = node->count - 1;
    for (uint32_t i = 0; i < last; i++)
        if (operand(node->child[i], fp) == FALSE) return FALSE;
    return operand(node->child[last], fp);
}

value run_or(struct node *node, value *fp)
{
    uint32_t last = node->count - 1;
    for (uint32_t i = 0; i < last; i++) {
        value v = operand(node->child[i], fp);
        if (v != FALSE) return v;
    }
    return operand(node->child[last], fp);
}

static bool is_among(value key, const struct vector *keys)
{
    for (uint32_t i = 0; i < keys->head.count; i++)
        if (is_eqv(key, keys->item[i])) return true;
    return false;
}

value run_case(struct node *node, value *fp)
{
    value key = operand(node->child[0], fp);
    struct vector *clauses = vector_of(node->datum);
    uint32_t at = 0;
    while (at < clauses->head.count && !is_among(key, vector_of(clauses->item[at]))) at++;
    return operand(node->child[1 + at], fp);
}

/* ---- procedures and variables --------------------------------------------------------------------------------- */

static void closure_capture(struct closure *closure, const struct vector *sources, const value *fp)
{
    for (uint32_t i = 0; i < sources->head.count; i++) {
        int64_t source = fixnum_get(sources->item[i]);
        store(&closure->captured[i],
              source >= 0 ? fp[source] : closure_of(fp[0])->captured[-1 - source]);
    }
}

value run_lambda(struct node *node, value *fp)
{
    struct vector *sources = vector_of(node->extra);
    value closure = closure_new((struct code *)node->datum, sources->head.count);
    closure_capture(closure_of(closure), sources, fp);
    return closure;
}

/* All procedures first: what they capture may be each other. */
value run_fix(struct node *node, value *fp)
{
    struct vector *slots = vector_of(node->datum), *boxes = vector_of(node->extra);
    for (uint32_t i = 0; i < node->count; i++) {
        struct node *lambda = node->child[i];
        int64_t slot = fixnum_get(slots->item[i]);
        value closure =
            closure_new((struct code *)lambda->datum, vector_of(lambda->extra)->head.count);
        if (boxes->item[i] == TRUE)
            store(&((struct box *)fp[slot])->content, closure);
        else
            fp[slot] = closure;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        value v = fp[fixnum_get(slots->item[i])];
        if (boxes->item[i] == TRUE) v = ((struct box *)v)->content;
        closure_capture(closure_of(v), vector_of(node->child[i]->extra), fp);
    }
    return UNSPECIFIED;
}

/* Variables that are captured and assigned go into boxes. `slots`: which, or FALSE. */
static inline void box_slots(value slots, value *fp)
{
    if (slots == FALSE) return;
    for (uint32_t i = 0; i < vector_of(slots)->head.count; i++) {
        value *slot = &fp[fixnum_get(vector_of(slots)->item[i])];
        *slot = box_new(*slot);
    }
}

value run_boxes(struct node *node, value *fp)
{
    box_slots(node->datum, fp);
    return node->child[0]->run(node->child[0], fp);
}

value run_let_one(struct node *node, value *fp)
{
    fp[node->slot] = operand(node->child[0], fp);
    return operand(node->child[1], fp);
}

value run_let(struct node *node, value *fp)
{
    uint32_t count = node->count - 1;
    for (uint32_t i = 0; i < count; i++) fp[node->slot + i] = operand(node->child[i], fp);
    box_slots(node->extra, fp);
    return operand(node->child[count], fp);
}

value run_body(struct node *node, value *fp)
{
    struct vector *early = vector_of(node->datum);
    for (uint32_t i = 0; i < early->head.count; i++) fp[fixnum_get(early->item[i])] = UNDEFINED;
    box_slots(node->extra, fp);
    return run_sequence(node, fp);
}

value run_loop(struct node *node, value *fp)
{
    uint32_t count = node->count - 1;
    struct node *body = node->child[count];
    for (uint32_t i = 0; i < count; i++) fp[node->slot + i] = operand(node->child[i], fp);
    for (;;) {
        box_slots(node->extra, fp);
        value result = operand(body, fp);
        if (__builtin_expect(result != node->datum, 0)) return result;
        stack_check();
    }
}

/* New values for the loop's variables: all are evaluated before the first is changed. */
value run_jump(struct node *node, value *fp)
{
    uint32_t count = node->count - 1;
    value *new = fp + node->spare;
    for (uint32_t i = 0; i < count; i++) new[i] = operand(node->child[i + 1], fp);
    for (uint32_t i = 0; i < count; i++) fp[node->slot + i] = new[i];
    return node->datum;
}

/* ---- programs --------------------------------------------------------------------------------------------------- */

value eval_form(value form)
{
    struct context context = context_save();
    unsigned depth = lisp.depth;
    lisp.where = place_of(form, lisp.where);
    lisp.depth = 0;
    lisp.procedure = NULL;
    struct code *code = link_program(expand(form, NULL, NULL));
    lisp.depth = depth;
    return context_restore(context, call_procedure(closure_new(code, 0), 0, NULL));
}
