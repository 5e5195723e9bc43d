/*
 * Forms that become other forms. Procedures of the interpreter are put into them as objects rather than
 * by name, so that a program's own definition of `cons` changes nothing; keywords are put in by name,
 * and a program that has a variable called `lambda` around a `guard` gets what it asked for.
 */
#include "node.h"

#include "args.h"
#include "read.h"

static value list_of(unsigned count, const value *items)
{
    value list = NIL;
    while (count-- > 0) list = cons(items[count], list);
    return list;
}

#define LIST(...) list_of(sizeof((value[]){__VA_ARGS__}) / sizeof(value), (value[]){__VA_ARGS__})

static value second(value form)
{
    return car(cdr(form));
}

static value third(value form)
{
    return car(cdr(cdr(form)));
}

static void form_check(value form, int least)
{
    if (list_length(form) - 1 < least) syntax_fail("bad syntax", form);
}

static value lambda_form(value parameters, value body)
{
    return cons(lisp.roots.lambda, cons(parameters, body));
}

static value begin_form(value forms)
{
    return cons(lisp.roots.begin, forms);
}

/* ---- let*, letrec ------------------------------------------------------------------------------------------ */

static value let_star_form(value form)
{
    form_check(form, 2);
    value bindings = second(form), body = cdr(cdr(form));
    if (list_length(bindings) < 0) syntax_fail("bad bindings", bindings);
    if (bindings == NIL || cdr(bindings) == NIL) return cons(lisp.roots.let, cons(bindings, body));
    value inner = cons(car(form), cons(cdr(bindings), body));
    return LIST(lisp.roots.let, LIST(car(bindings)), inner);
}

/* A body whose definitions are the bindings. */
static value letrec_form(value form)
{
    form_check(form, 2);
    struct list forms = {NIL, NIL};
    value bindings = second(form), body = cdr(cdr(form));
    if (list_length(bindings) < 0) syntax_fail("bad bindings", bindings);
    for (; bindings != NIL; bindings = cdr(bindings)) {
        if (list_length(car(bindings)) != 2) syntax_fail("bad binding", car(bindings));
        list_add(&forms, cons(lisp.roots.define, car(bindings)));
    }
    list_add(&forms, cons(lisp.roots.let, cons(NIL, body)));
    return cons(lisp.roots.let, cons(NIL, forms.head));
}

/* ---- cond, do ---------------------------------------------------------------------------------------------- */

static value arrow_form(value clause, value rest)
{
    value name = symbol_fresh("value");
    value branch = LIST(lisp.roots.branch, name, LIST(third(clause), name), rest);
    return LIST(lisp.roots.let, LIST(LIST(name, car(clause))), branch);
}

/* One clause at a time: the rest is a cond again. */
static value cond_form(value form)
{
    if (list_length(form) < 0) syntax_fail("bad syntax", form);
    value clauses = cdr(form);
    if (clauses == NIL) return UNSPECIFIED;
    value clause = car(clauses), rest = cons(car(form), cdr(clauses));
    if (list_length(clause) < 1) syntax_fail("bad clause", clause);
    if (cdr(clauses) == NIL) rest = UNSPECIFIED;
    if (car(clause) == lisp.roots.otherwise) return begin_form(cdr(clause));
    if (cdr(clause) == NIL) return LIST(symbol_intern("or"), car(clause), rest);
    if (second(clause) == lisp.roots.arrow && list_length(clause) == 3)
        return arrow_form(clause, rest);
    return LIST(lisp.roots.branch, car(clause), begin_form(cdr(clause)), rest);
}

/* A named let whose name nobody else knows. */
static value do_form(value form)
{
    form_check(form, 2);
    struct list bindings = {NIL, NIL}, steps = {NIL, NIL};
    value loop = symbol_fresh("do"), end = third(form);
    list_add(&steps, loop);
    for (value l = second(form); is_pair(l); l = cdr(l)) {
        int64_t length = list_length(car(l));
        if (length != 2 && length != 3) syntax_fail("bad binding", car(l));
        list_add(&bindings, LIST(car(car(l)), second(car(l))));
        list_add(&steps, length == 3 ? third(car(l)) : car(car(l)));
    }
    if (list_length(end) < 1) syntax_fail("bad syntax", form);
    value body = begin_form(list_join(cdr(cdr(cdr(form))), cons(steps.head, NIL)));
    value branch = LIST(lisp.roots.branch, car(end), begin_form(cdr(end)), body);
    return LIST(lisp.roots.let, loop, bindings.head, branch);
}

/* ---- guard, delay, receive --------------------------------------------------------------------------------- */

/* (guard (name clause ...) body...) */
static value guard_form(value form)
{
    form_check(form, 2);
    if (!is_pair(second(form)) || !is_symbol(car(second(form)))) syntax_fail("bad syntax", form);
    value name = car(second(form)), clauses = cdr(second(form));
    value again = LIST(lisp.roots.otherwise, LIST(lisp.roots.builtin.raise, name));
    for (value l = clauses; is_pair(l); l = cdr(l))
        if (is_pair(car(l)) && car(car(l)) == lisp.roots.otherwise) again = FALSE;
    if (again != FALSE) clauses = list_join(clauses, cons(again, NIL));
    value handler = lambda_form(LIST(name), cons(cons(lisp.roots.cond, clauses), NIL));
    return LIST(lisp.roots.builtin.catch_errors, lambda_form(NIL, cdr(cdr(form))), handler);
}

static value delay_form(value form)
{
    form_check(form, 1);
    return LIST(lisp.roots.builtin.promise, lambda_form(NIL, cdr(form)));
}

/* (receive parameters values body...) */
static value receive_form(value form)
{
    form_check(form, 3);
    return LIST(lisp.roots.builtin.with_values, lambda_form(NIL, LIST(third(form))),
                lambda_form(second(form), cdr(cdr(cdr(form)))));
}

/* ---- define-record-type ------------------------------------------------------------------------------------- */

static value define_form(value name, value parameters, value body)
{
    return LIST(lisp.roots.define, cons(name, parameters), body);
}

/* (field get put), the n-th. */
static void field_forms(struct list *forms, value type, value field, int64_t n)
{
    if (!is_pair(field)) return;
    value object = symbol_fresh("record"), new = symbol_fresh("value");
    if (is_pair(cdr(field))) {
        value get = LIST(lisp.roots.builtin.record_get, type, object, fixnum(n));
        list_add(forms, define_form(second(field), LIST(object), get));
    }
    if (is_pair(cdr(field)) && is_pair(cdr(cdr(field)))) {
        value put = LIST(lisp.roots.builtin.record_put, type, object, fixnum(n), new);
        list_add(forms, define_form(third(field), LIST(object, new), put));
    }
}

/* The arguments of the constructor in the order of the fields; FALSE for those it does not have. */
static value constructor_form(value type, value constructor, value fields)
{
    struct list call = {NIL, NIL};
    list_add(&call, lisp.roots.builtin.record_make);
    list_add(&call, type);
    for (; is_pair(fields); fields = cdr(fields)) {
        value name = is_pair(car(fields)) ? car(car(fields)) : car(fields), argument = FALSE;
        for (value l = cdr(constructor); is_pair(l); l = cdr(l))
            if (car(l) == name) argument = name;
        list_add(&call, argument);
    }
    return define_form(car(constructor), cdr(constructor), call.head);
}

/* (define-record-type name (constructor field ...) predicate (field get put) ...) */
value record_forms(value form)
{
    form_check(form, 3);
    struct list forms = {NIL, NIL};
    value type = second(form), constructor = third(form), rest = cdr(cdr(cdr(form)));
    if (!is_symbol(type) || !is_pair(constructor)) syntax_fail("bad syntax", form);
    value name = LIST(lisp.roots.quote, type), object = symbol_fresh("object");
    list_add(&forms, LIST(lisp.roots.define, type, LIST(lisp.roots.builtin.record_type, name)));
    list_add(&forms, constructor_form(type, constructor, cdr(rest)));
    value test = LIST(lisp.roots.builtin.record_is, type, object);
    list_add(&forms, define_form(car(rest), LIST(object), test));
    int64_t n = 0;
    for (value l = cdr(rest); is_pair(l); l = cdr(l)) field_forms(&forms, type, car(l), n++);
    return begin_form(forms.head);
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

struct node *derived_expand(unsigned special, value form, struct scope *scope, struct loop *tail)
{
    switch (special) {
    case SPECIAL_QUASIQUOTE:
        form_check(form, 1);
        return expand(quasiquote_form(second(form)), scope, tail);
    case SPECIAL_LET_STAR: return expand(let_star_form(form), scope, tail);
    case SPECIAL_LETREC: return expand(letrec_form(form), scope, tail);
    case SPECIAL_COND: return expand(cond_form(form), scope, tail);
    case SPECIAL_DO: return expand(do_form(form), scope, tail);
    case SPECIAL_GUARD: return expand(guard_form(form), scope, tail);
    case SPECIAL_DELAY: return expand(delay_form(form), scope, tail);
    case SPECIAL_RECEIVE: return expand(receive_form(form), scope, tail);
    case SPECIAL_RECORD: return expand(record_forms(form), scope, tail);
    default: syntax_fail("bad syntax", form);
    }
}
