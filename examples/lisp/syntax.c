/*
 * Forms to nodes: names, calls, bodies. Special forms are in special.c and derived.c.
 *
 * While a form is expanded, facts about its variables are collected, so that linking knows all of them:
 * whether one is captured, assigned, used before its definition. A named let is taken for a loop until
 * its name is used other than for a call in tail position; then it fails, and what was used inside it
 * from outside turns out to be captured.
 */
#include "node.h"

#include "read.h"

enum {
    DEPTH_MAX = 4000, /* of expressions in each other: running them takes C stack */
    PARAMETERS_MAX = 1000,
};

FH_GC_TRAILING(node, struct node, child, datum, extra)
FH_GC_TYPE(variable, name, loop)
FH_GC_TYPE(loop, used, tail, name, variables)

_Noreturn void syntax_fail(const char *message, value form)
{
    fail_at(place_of(form, lisp.where), message, form);
}

struct node *node_new(enum node_kind kind, unsigned count)
{
    struct node *node = allocated(fh_gc_new_trailing(lisp.heap, node, count));
    node->kind = kind;
    node->count = count;
    node->where = lisp.where;
    store(&node->datum, FALSE);
    store(&node->extra, FALSE);
    return node;
}

struct node *node_constant(value datum)
{
    struct node *node = node_new(NODE_CONSTANT, 0);
    store(&node->datum, datum);
    return node;
}

/* ---- variables ----------------------------------------------------------------------------------------- */

struct variable *variable_new(value name)
{
    struct variable *variable = allocated(fh_gc_new(lisp.heap, variable));
    variable->head.kind = KIND_VARIABLE;
    variable->initialized = true;
    store(&variable->name, name);
    return variable;
}

value variables_new(value names)
{
    value vector = vector_new((size_t)list_length(names), FALSE);
    for (uint32_t i = 0; names != NIL; names = cdr(names)) {
        if (!is_symbol(car(names))) syntax_fail("not a name", car(names));
        store_object(&vector_of(vector)->item[i++], variable_new(car(names)));
    }
    return vector;
}

struct variable *scope_variable(struct scope *scope, value name)
{
    struct vector *variables = vector_of(scope->variables);
    for (uint32_t i = variables->head.count; i-- > 0;) {
        struct variable *variable = (struct variable *)variables->item[i];
        if (variable->name == name) return variable;
    }
    return NULL;
}

struct loop *loop_new(struct variable *name, value variables, struct loop *tail)
{
    static uint32_t marks;
    struct loop *loop = allocated(fh_gc_new(lisp.heap, loop));
    store(&loop->used, NIL);
    store_object(&loop->tail, tail);
    store_object(&loop->name, name);
    store(&loop->variables, variables);
    loop->mark = JUMP_TAG | ++marks;
    store_object(&name->loop, loop);
    return loop;
}

/* The loop is a procedure after all. */
static void loop_fail(struct loop *loop)
{
    if (loop->head.count) return;
    loop->head.count = 1;
    for (value l = loop->used; l != NIL; l = cdr(l)) {
        struct variable *variable = (struct variable *)car(l);
        variable->captured = true;
        if (variable->loop) loop_fail(variable->loop);
    }
}

static bool is_tail_of(const struct loop *tail, const struct loop *loop)
{
    for (; tail; tail = tail->tail)
        if (tail == loop) return true;
    return false;
}

/* Whether a procedure lies between; loops that may become one remember the variable. */
static bool is_crossing(struct scope *from, struct scope *to, struct variable *variable)
{
    bool crossing = false;
    for (; from != to; from = from->outer) {
        if (from->is_procedure) crossing = true;
        if (from->loop == NULL) continue;
        if (from->loop->head.count)
            crossing = true;
        else
            store(&from->loop->used, cons((value)variable, from->loop->used));
    }
    return crossing;
}

struct variable *scope_use(struct scope *scope, value name, bool called, struct loop *tail)
{
    struct variable *variable = NULL;
    struct scope *owner = scope;
    while (owner && (variable = scope_variable(owner, name)) == NULL) owner = owner->outer;
    if (variable == NULL) return NULL;
    if (!variable->initialized) variable->early = true;
    bool crossing = is_crossing(scope, owner, variable);
    if (crossing) variable->captured = true;
    if (variable->loop && (crossing || !called || !is_tail_of(tail, variable->loop)))
        loop_fail(variable->loop);
    return variable;
}

/* ---- forms --------------------------------------------------------------------------------------------- */

static struct node *expand_name(value name, struct scope *scope, bool called, struct loop *tail)
{
    struct variable *variable = scope_use(scope, name, called, tail);
    struct node *node = node_new(variable ? NODE_VARIABLE : NODE_GLOBAL, 0);
    if (variable == NULL && symbol_of(name)->head.count) syntax_fail("a keyword is no value", name);
    store(&node->datum, variable ? (value)variable : name);
    return node;
}

static bool is_global(value name, struct scope *scope)
{
    for (; scope; scope = scope->outer)
        if (scope_variable(scope, name)) return false;
    return true;
}

unsigned special_of(value form, struct scope *scope)
{
    if (!is_pair(form) || !is_symbol(car(form))) return SPECIAL_NONE;
    unsigned special = symbol_of(car(form))->head.count;
    return special && is_global(car(form), scope) ? special : SPECIAL_NONE;
}

bool expand_macro(value *form, struct scope *scope)
{
    if (!is_pair(*form) || !is_symbol(car(*form))) return false;
    value macro = symbol_of(car(*form))->global;
    if (!is_kind(macro, KIND_MACRO) || !is_global(car(*form), scope)) return false;
    value transformer = record_of(macro)->field[0];
    if (is_pair(transformer)) {
        *form = rules_apply(transformer, *form);
        return true;
    }
    *form = call_with_list(transformer, cdr(*form));
    return true;
}

/* A jump has as many arguments as the loop has variables; else it is a call, which complains. */
static void call_check(struct node *procedure, int64_t arguments)
{
    if (procedure->kind != NODE_VARIABLE) return;
    struct loop *loop = ((struct variable *)procedure->datum)->loop;
    if (loop && vector_of(loop->variables)->head.count != arguments) loop_fail(loop);
}

static struct node *expand_call(value form, struct scope *scope, struct loop *tail)
{
    int64_t length = list_length(form);
    if (length < 0) syntax_fail("not a proper list", form);
    struct node *node = node_new(NODE_CALL, (unsigned)length);
    value procedure = car(form);
    store_object(&node->child[0], is_symbol(procedure) ? expand_name(procedure, scope, true, tail)
                                                       : expand(procedure, scope, NULL));
    call_check(node->child[0], length - 1);
    unsigned i = 1;
    for (value l = cdr(form); l != NIL; l = cdr(l))
        store_object(&node->child[i++], expand(car(l), scope, NULL));
    return node;
}

static struct node *expand_pair(value form, struct scope *scope, struct loop *tail)
{
    unsigned special = special_of(form, scope);
    if (special) return special_expand(special, form, scope, tail);
    if (expand_macro(&form, scope)) return expand(form, scope, tail);
    return expand_call(form, scope, tail);
}

struct node *expand(value form, struct scope *scope, struct loop *tail)
{
    if (is_symbol(form)) return expand_name(form, scope, false, tail);
    if (!is_pair(form)) {
        if (form == NIL) syntax_fail("an empty list is no expression", form);
        return node_constant(form);
    }
    stack_check();
    if (++lisp.depth > DEPTH_MAX) syntax_fail("expressions are nested too deeply", FALSE);
    place outer = lisp.where;
    lisp.where = place_of(form, outer);
    struct node *node = expand_pair(form, scope, tail);
    lisp.where = outer;
    lisp.depth--;
    return node;
}

struct node *expand_sequence(value forms, struct scope *scope, struct loop *tail)
{
    int64_t length = list_length(forms);
    if (length < 0) syntax_fail("not a proper list", forms);
    if (length == 0) return node_constant(UNSPECIFIED);
    if (length == 1) return expand(car(forms), scope, tail);
    struct node *node = node_new(NODE_SEQUENCE, (unsigned)length);
    for (unsigned i = 0; i < length; i++, forms = cdr(forms))
        store_object(&node->child[i], expand(car(forms), scope, i + 1 == length ? tail : NULL));
    return node;
}

/* ---- bodies -------------------------------------------------------------------------------------------- */

static value define_name(value form)
{
    if (!is_pair(cdr(form))) syntax_fail("nothing to define", form);
    value name = car(cdr(form));
    while (is_pair(name)) name = car(name);
    if (!is_symbol(name)) syntax_fail("not a name", name);
    return name;
}

/* The forms with macros expanded and (begin ...) spliced, as far as definitions may be in them. */
static value body_forms(value forms, struct scope *scope, struct list *names)
{
    struct list out = {NIL, NIL};
    while (forms != NIL) {
        if (!is_pair(forms)) syntax_fail("not a proper list", forms);
        value form = car(forms);
        forms = cdr(forms);
        while (expand_macro(&form, scope)) continue;
        unsigned special = special_of(form, scope);
        if (special == SPECIAL_RECORD) {
            form = record_forms(form);
            special = SPECIAL_BEGIN;
        }
        if (special == SPECIAL_BEGIN) {
            forms = list_join(cdr(form), forms);
            continue;
        }
        if (special == SPECIAL_DEFINE) list_add(names, define_name(form));
        list_add(&out, form);
    }
    return out.head;
}

value define_value(value form)
{
    value target = car(cdr(form)), rest = cdr(cdr(form));
    while (is_pair(target)) {
        rest = cons(cons(lisp.roots.lambda, cons(cdr(target), rest)), NIL);
        target = car(target);
    }
    if (rest == NIL) return UNSPECIFIED;
    if (!is_pair(rest) || cdr(rest) != NIL) syntax_fail("more than one value to define", form);
    return car(rest);
}

struct node *expand_named(value name, value form, struct scope *scope)
{
    if (special_of(form, scope) != SPECIAL_LAMBDA || !is_pair(cdr(form)))
        return expand(form, scope, NULL);
    place outer = lisp.where;
    lisp.where = place_of(form, outer);
    struct node *node = expand_lambda(name, car(cdr(form)), cdr(cdr(form)), scope);
    lisp.where = outer;
    return node;
}

static bool is_procedure_definition(value form, struct scope *scope)
{
    return special_of(form, scope) == SPECIAL_DEFINE &&
           special_of(define_value(form), scope) == SPECIAL_LAMBDA;
}

/* Definitions of procedures in a row may refer to each other without boxes: they are all made before
 * any of them captures. */
static struct node *expand_fix(value *forms, struct scope *scope)
{
    struct list variables = {NIL, NIL}, lambdas = {NIL, NIL};
    value form = *forms;
    place outer = lisp.where;
    for (; is_pair(form) && is_procedure_definition(car(form), scope); form = cdr(form)) {
        struct variable *variable = scope_variable(scope, define_name(car(form)));
        if (variable->initialized) variable->assigned = true;
        variable->initialized = true;
        list_add(&variables, (value)variable);
    }
    for (value l = *forms; l != form; l = cdr(l)) {
        lisp.where = place_of(car(l), outer);
        list_add(&lambdas, (value)expand_named(define_name(car(l)), define_value(car(l)), scope));
    }
    lisp.where = outer;
    struct node *node = node_new(NODE_FIX, (unsigned)list_length(lambdas.head));
    store(&node->extra, list_to_vector(variables.head));
    for (uint32_t i = 0; i < node->count; i++, lambdas.head = cdr(lambdas.head))
        store(&node->child[i], car(lambdas.head));
    *forms = form;
    return node;
}

static struct node *expand_inner_define(value form, struct scope *scope)
{
    struct variable *variable = scope_variable(scope, define_name(form));
    struct node *node = node_new(NODE_ASSIGN, 1);
    if (variable->initialized) variable->assigned = true;
    place outer = lisp.where;
    lisp.where = place_of(form, outer);
    store_object(&node->child[0], expand_named(variable->name, define_value(form), scope));
    store_object(&node->datum, variable);
    lisp.where = outer;
    variable->initialized = true;
    return node;
}

struct node *expand_body(value forms, struct scope *scope, struct loop *tail)
{
    struct list names = {NIL, NIL}, nodes = {NIL, NIL};
    forms = body_forms(forms, scope, &names);
    if (names.head == NIL) return expand_sequence(forms, scope, tail);
    struct scope inner = {.outer = scope, .variables = variables_new(names.head)};
    for (uint32_t i = 0; i < vector_of(inner.variables)->head.count; i++)
        ((struct variable *)vector_of(inner.variables)->item[i])->initialized = false;
    while (forms != NIL) {
        struct node *node;
        if (is_procedure_definition(car(forms), &inner)) {
            node = expand_fix(&forms, &inner);
        } else {
            bool define = special_of(car(forms), &inner) == SPECIAL_DEFINE;
            node = define ? expand_inner_define(car(forms), &inner)
                          : expand(car(forms), &inner, cdr(forms) == NIL ? tail : NULL);
            forms = cdr(forms);
        }
        list_add(&nodes, (value)node);
    }
    struct node *body = node_new(NODE_BODY, (unsigned)list_length(nodes.head));
    store(&body->extra, inner.variables);
    for (uint32_t i = 0; i < body->count; i++, nodes.head = cdr(nodes.head))
        store(&body->child[i], car(nodes.head));
    return body;
}

/* ---- procedures ------------------------------------------------------------------------------------------ */

/* Names of the parameters as a list; true if the last takes further arguments. */
static bool parameter_names(value parameters, struct list *names)
{
    for (; is_pair(parameters); parameters = cdr(parameters)) list_add(names, car(parameters));
    if (parameters == NIL) return false;
    list_add(names, parameters);
    return true;
}

struct node *expand_lambda(value name, value parameters, value body, struct scope *scope)
{
    struct list names = {NIL, NIL};
    struct node *node = node_new(NODE_LAMBDA, 1);
    struct code *code = code_new();
    code->head.count = parameter_names(parameters, &names);
    code->required = (uint32_t)list_length(names.head) - code->head.count;
    store(&code->name, name);
    if (code->required > PARAMETERS_MAX) syntax_fail("too many parameters", FALSE);
    struct scope inner = {
        .outer = scope, .variables = variables_new(names.head), .is_procedure = true};
    store(&node->extra, inner.variables);
    store_object(&node->datum, code);
    if (body == NIL) syntax_fail("a body without expressions", FALSE);
    store_object(&node->child[0], expand_body(body, &inner, NULL));
    return node;
}
