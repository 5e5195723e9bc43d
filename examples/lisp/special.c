/*
 * Special forms that have nodes of their own. What can be said by other forms is in derived.c.
 */
#include "node.h"

#include "args.h"
#include "read.h"

/* The form has between least and most parts behind its keyword, and is a proper list. */
static void form_check(value form, int least, int most)
{
    int64_t length = list_length(form) - 1;
    if (length < least || (most >= 0 && length > most)) syntax_fail("bad syntax", form);
}

static value second(value form)
{
    return car(cdr(form));
}

static value third(value form)
{
    return car(cdr(cdr(form)));
}

/* ---- simple forms -------------------------------------------------------------------------------------- */

static struct node *expand_quote(value form)
{
    form_check(form, 1, 1);
    return node_constant(second(form));
}

static struct node *expand_if(value form, struct scope *scope, struct loop *tail)
{
    form_check(form, 2, 3);
    struct node *node = node_new(NODE_IF, 3);
    value otherwise = cdr(cdr(cdr(form)));
    store_object(&node->child[0], expand(second(form), scope, NULL));
    store_object(&node->child[1], expand(third(form), scope, tail));
    store_object(&node->child[2], otherwise == NIL ? node_constant(UNSPECIFIED)
                                                   : expand(car(otherwise), scope, tail));
    return node;
}

static struct node *expand_set(value form, struct scope *scope)
{
    form_check(form, 2, 2);
    value name = second(form);
    if (!is_symbol(name)) syntax_fail("not a name", name);
    struct variable *variable = scope_use(scope, name, false, NULL);
    struct node *node = node_new(variable ? NODE_ASSIGN : NODE_ASSIGN_GLOBAL, 1);
    if (variable) variable->assigned = true;
    store(&node->datum, variable ? (value)variable : name);
    store_object(&node->child[0], expand_named(name, third(form), scope));
    return node;
}

/* At the top level; bodies look for their definitions themselves. */
static struct node *expand_define(value form, struct scope *scope)
{
    if (list_length(form) < 2) syntax_fail("bad syntax", form);
    if (scope) syntax_fail("a definition is only allowed at the beginning of a body", form);
    value name = second(form);
    while (is_pair(name)) name = car(name);
    if (!is_symbol(name)) syntax_fail("not a name", name);
    struct node *node = node_new(NODE_DEFINE, 1);
    store(&node->datum, name);
    store_object(&node->child[0], expand_named(name, define_value(form), scope));
    return node;
}

/* Forms whose parts run one after the other until one says stop. */
static struct node *expand_parts(enum node_kind kind, value form, struct scope *scope,
                                 struct loop *tail, value empty)
{
    form_check(form, 0, -1);
    value parts = cdr(form);
    if (parts == NIL) return node_constant(empty);
    struct node *node = node_new(kind, (unsigned)list_length(parts));
    for (uint32_t i = 0; i < node->count; i++, parts = cdr(parts))
        store_object(&node->child[i], expand(car(parts), scope, cdr(parts) == NIL ? tail : NULL));
    return node;
}

/* (when test body...) and (unless test body...). */
static struct node *expand_when(value form, struct scope *scope, struct loop *tail, unsigned branch)
{
    form_check(form, 1, -1);
    struct node *node = node_new(NODE_IF, 3);
    store_object(&node->child[0], expand(second(form), scope, NULL));
    store_object(&node->child[branch], expand_sequence(cdr(cdr(form)), scope, tail));
    store_object(&node->child[3 - branch], node_constant(UNSPECIFIED));
    return node;
}

/* ---- let ------------------------------------------------------------------------------------------------ */

/* ((name value) ...) taken apart. */
static void bindings_split(value bindings, struct list *names, struct list *values)
{
    if (list_length(bindings) < 0) syntax_fail("bad bindings", bindings);
    for (; bindings != NIL; bindings = cdr(bindings)) {
        value binding = car(bindings);
        if (list_length(binding) != 2) syntax_fail("bad binding", binding);
        list_add(names, car(binding));
        list_add(values, second(binding));
    }
}

/* A node with the initial values; the body is to follow. */
static struct node *node_binding(enum node_kind kind, value names, value values,
                                 struct scope *scope)
{
    struct node *node = node_new(kind, (unsigned)list_length(values) + 1);
    for (uint32_t i = 0; values != NIL; values = cdr(values), names = cdr(names))
        store_object(&node->child[i++], expand_named(car(names), car(values), scope));
    return node;
}

static struct node *expand_named_let(value form, struct scope *scope, struct loop *tail)
{
    struct list names = {NIL, NIL}, values = {NIL, NIL};
    form_check(form, 3, -1);
    bindings_split(third(form), &names, &values);
    struct node *node = node_binding(NODE_LOOP, names.head, values.head, scope);
    struct scope outer = {.outer = scope, .variables = variables_new(cons(second(form), NIL))};
    struct scope inner = {.outer = &outer, .variables = variables_new(names.head)};
    struct loop *loop =
        loop_new((struct variable *)vector_of(outer.variables)->item[0], inner.variables, tail);
    inner.loop = loop;
    store_object(&node->datum, loop);
    store(&node->extra, inner.variables);
    store_object(&node->child[node->count - 1], expand_body(cdr(cdr(cdr(form))), &inner, loop));
    return node;
}

static struct node *expand_let(value form, struct scope *scope, struct loop *tail)
{
    struct list names = {NIL, NIL}, values = {NIL, NIL};
    form_check(form, 2, -1);
    if (is_symbol(second(form))) return expand_named_let(form, scope, tail);
    bindings_split(second(form), &names, &values);
    if (names.head == NIL) return expand_body(cdr(cdr(form)), scope, tail);
    struct node *node = node_binding(NODE_LET, names.head, values.head, scope);
    struct scope inner = {.outer = scope, .variables = variables_new(names.head)};
    store(&node->extra, inner.variables);
    store_object(&node->child[node->count - 1], expand_body(cdr(cdr(form)), &inner, tail));
    return node;
}

/* ---- case ------------------------------------------------------------------------------------------------ */

static struct node *expand_case(value form, struct scope *scope, struct loop *tail)
{
    form_check(form, 2, -1);
    struct list keys = {NIL, NIL}, bodies = {NIL, NIL};
    value key = second(form), otherwise = NIL;
    for (value l = cdr(cdr(form)); l != NIL; l = cdr(l)) {
        value clause = car(l);
        if (list_length(clause) < 2) syntax_fail("bad clause", clause);
        if (car(clause) == lisp.roots.otherwise) {
            otherwise = cdr(clause);
            continue;
        }
        if (list_length(car(clause)) < 0) syntax_fail("bad clause", clause);
        list_add(&keys, list_to_vector(car(clause)));
        list_add(&bodies, cdr(clause));
    }
    list_add(&bodies, otherwise);
    struct node *node = node_new(NODE_CASE, (unsigned)list_length(bodies.head) + 1);
    store(&node->datum, list_to_vector(keys.head));
    store_object(&node->child[0], expand(key, scope, NULL));
    for (uint32_t i = 1; i < node->count; i++, bodies.head = cdr(bodies.head))
        store_object(&node->child[i], expand_sequence(car(bodies.head), scope, tail));
    return node;
}

/* ---- macros ---------------------------------------------------------------------------------------------- */

/* (define-macro (name . parameters) body...) or (define-macro name procedure): takes effect now. */
static struct node *expand_define_macro(value form)
{
    form_check(form, 2, -1);
    value target = second(form), name = is_pair(target) ? car(target) : target;
    if (!is_symbol(name)) syntax_fail("not a name", name);
    value procedure =
        is_pair(target) ? cons(lisp.roots.lambda, cons(cdr(target), cdr(cdr(form)))) : third(form);
    procedure = eval_form(procedure);
    if (!is_procedure(procedure)) syntax_fail("not a procedure", procedure);
    symbol_of(name)->head.count = 0;
    store(&symbol_of(name)->global, macro_new(procedure));
    return node_constant(UNSPECIFIED);
}

/* (define-syntax name (syntax-rules (literal ...) (pattern template) ...)) */
static struct node *expand_define_syntax(value form)
{
    form_check(form, 2, 2);
    value name = second(form), rules = third(form);
    bool good =
        is_symbol(name) && list_length(rules) >= 2 && car(rules) == symbol_intern("syntax-rules");
    if (!good || list_length(second(rules)) < 0) syntax_fail("only syntax-rules is known", form);
    for (value l = cdr(cdr(rules)); l != NIL; l = cdr(l))
        if (list_length(car(l)) != 2 || !is_pair(car(car(l)))) syntax_fail("bad rule", car(l));
    symbol_of(name)->head.count = 0;
    store(&symbol_of(name)->global, macro_new(cdr(rules)));
    return node_constant(UNSPECIFIED);
}

/* ---- the table of forms ---------------------------------------------------------------------------------- */

struct node *special_expand(unsigned special, value form, struct scope *scope, struct loop *tail)
{
    switch (special) {
    case SPECIAL_QUOTE: return expand_quote(form);
    case SPECIAL_IF: return expand_if(form, scope, tail);
    case SPECIAL_DEFINE: return expand_define(form, scope);
    case SPECIAL_SET: return expand_set(form, scope);
    case SPECIAL_LAMBDA:
        form_check(form, 2, -1);
        return expand_lambda(FALSE, second(form), cdr(cdr(form)), scope);
    case SPECIAL_LET: return expand_let(form, scope, tail);
    case SPECIAL_BEGIN: form_check(form, 0, -1); return expand_sequence(cdr(form), scope, tail);
    case SPECIAL_AND: return expand_parts(NODE_AND, form, scope, tail, TRUE);
    case SPECIAL_OR: return expand_parts(NODE_OR, form, scope, tail, FALSE);
    case SPECIAL_WHEN: return expand_when(form, scope, tail, 1);
    case SPECIAL_UNLESS: return expand_when(form, scope, tail, 2);
    case SPECIAL_CASE: return expand_case(form, scope, tail);
    case SPECIAL_MACRO: return expand_define_macro(form);
    case SPECIAL_SYNTAX: return expand_define_syntax(form);
    default: return derived_expand(special, form, scope, tail);
    }
}

void syntax_define(void)
{
    static const struct {
        const char *name;
        enum special special;
    } rows[] = {
        {"quote", SPECIAL_QUOTE},
        {"quasiquote", SPECIAL_QUASIQUOTE},
        {"if", SPECIAL_IF},
        {"define", SPECIAL_DEFINE},
        {"set!", SPECIAL_SET},
        {"lambda", SPECIAL_LAMBDA},
        {"let", SPECIAL_LET},
        {"let*", SPECIAL_LET_STAR},
        {"letrec", SPECIAL_LETREC},
        {"letrec*", SPECIAL_LETREC},
        {"begin", SPECIAL_BEGIN},
        {"cond", SPECIAL_COND},
        {"case", SPECIAL_CASE},
        {"and", SPECIAL_AND},
        {"or", SPECIAL_OR},
        {"when", SPECIAL_WHEN},
        {"unless", SPECIAL_UNLESS},
        {"do", SPECIAL_DO},
        {"delay", SPECIAL_DELAY},
        {"guard", SPECIAL_GUARD},
        {"receive", SPECIAL_RECEIVE},
        {"define-record-type", SPECIAL_RECORD},
        {"define-macro", SPECIAL_MACRO},
        {"define-syntax", SPECIAL_SYNTAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        symbol_of(symbol_intern(rows[i].name))->head.count = rows[i].special;
}
