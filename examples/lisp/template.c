/*
 * Templates: quasiquote, and syntax-rules, whose macros are not hygienic: a name that a template brings
 * in means what it means where the macro is used.
 */
#include "node.h"

#include "read.h"

/* ---- quasiquote ------------------------------------------------------------------------------------------ */

static value call_form(value procedure, value a, value b)
{
    return cons(procedure, cons(a, cons(b, NIL)));
}

static bool is_tagged(value form, value tag)
{
    return is_pair(form) && car(form) == tag && is_pair(cdr(form)) && cdr(cdr(form)) == NIL;
}

static value quote_form(value datum)
{
    return cons(lisp.roots.quote, cons(datum, NIL));
}

static value template_form(value template, int level);

/* (unquote x) inside a further quasiquote stays as it is, but for what is inside of it. */
static value tagged_form(value template, int level)
{
    value inner = template_form(cdr(template), level);
    return call_form(lisp.roots.builtin.cons, quote_form(car(template)), inner);
}

static value list_form(value template, int level)
{
    if (is_tagged(car(template), lisp.roots.unquote_splicing) && level == 1) {
        value spliced = car(cdr(car(template)));
        if (cdr(template) == NIL) return spliced;
        return call_form(lisp.roots.builtin.append, spliced, template_form(cdr(template), level));
    }
    return call_form(lisp.roots.builtin.cons, template_form(car(template), level),
                     template_form(cdr(template), level));
}

static bool has_unquote(value template);

static value vector_form(value template, int level)
{
    value list = NIL;
    for (uint32_t i = vector_of(template)->head.count; i-- > 0;)
        list = cons(vector_of(template)->item[i], list);
    value inner = template_form(list, level);
    return cons(lisp.roots.builtin.list_to_vector, cons(inner, NIL));
}

static value template_form(value template, int level)
{
    stack_check();
    if (!has_unquote(template)) return quote_form(template);
    if (is_kind(template, KIND_VECTOR)) return vector_form(template, level);
    if (is_tagged(template, lisp.roots.unquote))
        return level == 1 ? car(cdr(template)) : tagged_form(template, level - 1);
    if (is_tagged(template, lisp.roots.quasiquote)) return tagged_form(template, level + 1);
    if (is_tagged(template, lisp.roots.unquote_splicing)) return tagged_form(template, level - 1);
    return list_form(template, level);
}

/* Whether anything in the template is to be evaluated: what is not stays one constant. */
static bool has_unquote(value template)
{
    stack_check();
    for (; is_pair(template); template = cdr(template)) {
        value first = car(template);
        if (first == lisp.roots.unquote || first == lisp.roots.unquote_splicing) return true;
        if ((is_pair(first) || is_kind(first, KIND_VECTOR)) && has_unquote(first)) return true;
    }
    if (!is_kind(template, KIND_VECTOR)) return false;
    for (uint32_t i = 0; i < vector_of(template)->head.count; i++)
        if (has_unquote(vector_of(template)->item[i])) return true;
    return false;
}

value quasiquote_form(value template)
{
    return template_form(template, 1);
}

/* ---- syntax-rules: matching -------------------------------------------------------------------------------- */

/* What pattern variables stand for is a list of (name . value); under an ellipsis the value is a list of
 * such lists. */
static bool is_literal(value name, value literals)
{
    for (; is_pair(literals); literals = cdr(literals))
        if (car(literals) == name) return true;
    return false;
}

static bool has_dots(value pattern)
{
    return is_pair(pattern) && is_pair(cdr(pattern)) && car(cdr(pattern)) == lisp.roots.dots;
}

static bool match(value pattern, value form, value literals, value *bindings);

static int64_t items_before_tail(value form)
{
    int64_t count = 0;
    for (; is_pair(form); form = cdr(form)) count++;
    return count;
}

/* (item ... rest): as many items as leave enough for the rest. */
static bool match_dots(value pattern, value form, value literals, value *bindings)
{
    value rest = cdr(cdr(pattern));
    int64_t count = items_before_tail(form) - items_before_tail(rest);
    struct list matches = {NIL, NIL};
    for (; count > 0; count--, form = cdr(form)) {
        value inner = NIL;
        if (!match(car(pattern), car(form), literals, &inner)) return false;
        list_add(&matches, inner);
    }
    if (count < 0) return false;
    *bindings = cons(cons(cons(lisp.roots.dots, car(pattern)), matches.head), *bindings);
    return match(rest, form, literals, bindings);
}

static bool match(value pattern, value form, value literals, value *bindings)
{
    stack_check();
    if (is_symbol(pattern)) {
        if (is_literal(pattern, literals)) return form == pattern;
        if (pattern != symbol_intern("_")) *bindings = cons(cons(pattern, form), *bindings);
        return true;
    }
    if (has_dots(pattern)) return match_dots(pattern, form, literals, bindings);
    if (!is_pair(pattern)) return is_equal(pattern, form);
    return is_pair(form) && match(car(pattern), car(form), literals, bindings) &&
           match(cdr(pattern), cdr(form), literals, bindings);
}

/* ---- syntax-rules: templates -------------------------------------------------------------------------------- */

static bool mentions(value tree, value name)
{
    for (; is_pair(tree); tree = cdr(tree))
        if (mentions(car(tree), name)) return true;
    return tree == name;
}

/* Whether the template uses a name of the pattern. */
static bool shares_name(value template, value pattern)
{
    for (; is_pair(pattern); pattern = cdr(pattern))
        if (shares_name(template, car(pattern))) return true;
    return is_symbol(pattern) && pattern != lisp.roots.dots && mentions(template, pattern);
}

static value fill(value template, value bindings);

/* The matches of all ellipses whose names the template uses. */
static value matches_for(value template, value bindings)
{
    value matches = NIL;
    for (value l = bindings; is_pair(l); l = cdr(l)) {
        value key = car(car(l));
        if (is_pair(key) && shares_name(template, cdr(key))) matches = cons(cdr(car(l)), matches);
    }
    return matches;
}

/* Adds one match of each ellipsis to the bindings and moves on; false when one has no more. */
static bool matches_next(value *matches, value *bindings)
{
    value rest = NIL;
    for (value l = *matches; l != NIL; l = cdr(l)) {
        if (car(l) == NIL) return false;
        *bindings = list_join(car(car(l)), *bindings);
        rest = cons(cdr(car(l)), rest);
    }
    *matches = rest;
    return true;
}

/* (item ... rest): the item once for each match. */
static value fill_dots(value template, value bindings)
{
    struct list items = {NIL, NIL};
    value matches = matches_for(car(template), bindings), inner = bindings;
    if (matches == NIL) syntax_fail("an ellipsis without a name from under one", template);
    for (; matches_next(&matches, &inner); inner = bindings)
        list_add(&items, fill(car(template), inner));
    return list_join(items.head, fill(cdr(cdr(template)), bindings));
}

static value fill(value template, value bindings)
{
    stack_check();
    if (is_symbol(template)) {
        for (value l = bindings; is_pair(l); l = cdr(l))
            if (car(car(l)) == template) return cdr(car(l));
        return template;
    }
    if (!is_pair(template)) return template;
    if (car(template) == lisp.roots.dots && is_pair(cdr(template))) return car(cdr(template));
    if (has_dots(template)) return fill_dots(template, bindings);
    return cons(fill(car(template), bindings), fill(cdr(template), bindings));
}

/* `rules`: (literals (pattern template) ...). The keyword itself is not matched. */
value rules_apply(value rules, value form)
{
    for (value l = cdr(rules); is_pair(l); l = cdr(l)) {
        value bindings = NIL, pattern = car(car(l));
        if (match(cdr(pattern), cdr(form), car(rules), &bindings))
            return fill(car(cdr(car(l))), bindings);
    }
    syntax_fail("no rule of the macro matches", form);
}
