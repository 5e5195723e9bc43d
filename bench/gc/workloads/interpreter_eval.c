// The interpreter's evaluator: it walks the pairs that were read. What is last in a function is a turn of
// the loop, not a call, so that loops written as functions do not grow the stack; everything else that
// waits, waits on the stack of C, where every collector looks for references.
#include "workloads/interpreter.h"

// --- scopes --------------------------------------------------------------------------------------

static struct tree *scope_add(struct tree *outer, value symbol, value bound)
{
    struct tree *made = tree_new();
    INIT(made, &made->left, outer);
    INIT(made, &made->right, (struct tree *)bound);
    INIT(made, &made->blob, (struct bytes *)symbol);
    return made;
}

// NULL: the symbol is not bound here, but globally if at all.
static struct tree *scope_find(struct tree *scope, value symbol)
{
    while (scope && scope->blob != (struct bytes *)symbol) scope = scope->left;
    return scope;
}

static value variable_value(value symbol, struct tree *scope)
{
    scope = scope_find(scope, symbol);
    value found = scope ? (value)scope->right : symbol->left;
    if (found == NOTHING)
        fail("%s has no value", (const char *)((struct bytes *)symbol->right)->data);
    return found;
}

static value variable_set(value symbol, value changed, struct tree *scope)
{
    scope = scope_find(scope, symbol);
    if (scope)
        STORE(scope, &scope->right, (struct tree *)changed);
    else
        STORE(symbol, &symbol->left, changed);
    return NOTHING;
}

// --- what binds ----------------------------------------------------------------------------------

// The bindings are pairs of a name and an expression.
static struct tree *let_scope(value bindings, struct tree *outer)
{
    struct tree *inner = outer;
    for (; bindings; bindings = rest_of(bindings)) {
        value binding = first_of(bindings);
        value bound = value_eval(first_of(rest_of(binding)), outer);
        inner = scope_add(inner, first_of(binding), bound);
    }
    return inner;
}

// The same where each expression is evaluated among all the names.
static struct tree *letrec_scope(value bindings, struct tree *outer)
{
    struct tree *inner = outer;
    for (value at = bindings; at; at = rest_of(at))
        inner = scope_add(inner, first_of(first_of(at)), NOTHING);
    for (; bindings; bindings = rest_of(bindings)) {
        value binding = first_of(bindings);
        value bound = value_eval(first_of(rest_of(binding)), inner);
        variable_set(first_of(binding), bound, inner);
    }
    return inner;
}

static struct tree *call_scope(value closure, value arguments, struct tree *caller)
{
    struct tree *inner = (struct tree *)closure->right;
    value names = closure->left->left;
    for (; names && arguments; names = names->right, arguments = arguments->right)
        inner = scope_add(inner, names->left, value_eval(arguments->left, caller));
    if (names || arguments) fail("a call with the wrong number of arguments");
    return inner;
}

static value primitive_eval(value primitive, value arguments, struct tree *scope)
{
    value values[ARGUMENTS_MOST];
    unsigned count = 0;
    for (; arguments && count < ARGUMENTS_MOST; arguments = arguments->right)
        values[count++] = value_eval(arguments->left, scope);
    return primitive_call(primitive, values, count);
}

// --- the loop ------------------------------------------------------------------------------------

// All but the last, which is given back.
static value body_eval(value body, struct tree *scope)
{
    for (; rest_of(body); body = rest_of(body)) value_eval(body->left, scope);
    return body->left;
}

static value branch_choose(value rest, struct tree *scope)
{
    value branches = rest_of(rest);
    return value_eval(rest->left, scope) != FALSE ? first_of(branches)
                                                  : first_of(rest_of(branches));
}

static enum form form_of(value head)
{
    return is_node(head) ? (enum form)(head->value >> SHAPE_BITS) : NO_FORM;
}

value value_eval(value expression, struct tree *scope)
{
    for (;;) {
        if (!is_node(expression)) return expression;
        if (!is_shaped(expression, SHAPE_PAIR)) return variable_value(expression, scope);
        meter_step();
        value head = expression->left, rest = expression->right;
        switch (form_of(head)) {
        case QUOTE: return first_of(rest);
        case LAMBDA: return shaped_make(SHAPE_CLOSURE, rest, scope);
        case DEFINE:
            return variable_set(first_of(rest), value_eval(first_of(rest_of(rest)), scope), NULL);
        case SET:
            return variable_set(first_of(rest), value_eval(first_of(rest_of(rest)), scope), scope);
        case IF: expression = branch_choose(rest, scope); break;
        case BEGIN: expression = body_eval(rest, scope); break;
        case LET:
            scope = let_scope(first_of(rest), scope);
            expression = body_eval(rest->right, scope);
            break;
        case LETREC:
            scope = letrec_scope(first_of(rest), scope);
            expression = body_eval(rest->right, scope);
            break;
        default: {
            value function = value_eval(head, scope);
            if (is_primitive(function)) return primitive_eval(function, rest, scope);
            if (!is_shaped(function, SHAPE_CLOSURE)) fail("a call of what is no function");
            scope = call_scope(function, rest, scope);
            expression = body_eval(function->left->right, scope);
        }
        }
    }
}
