/*
 * Objects: their types as the collector sees them, and how they are made. Symbols and equality.
 */
#include "value.h"

#include <stdio.h>
#include <stdlib.h>

#include "stack.h"
#include "text.h"

struct lisp lisp;

FH_GC_LEAF_TYPE(flonum)
FH_GC_TYPE(symbol, global, name)
FH_GC_TYPE(box, content)
FH_GC_TRAILING(vector, struct vector, item)
FH_GC_TRAILING(closure, struct closure, captured, code)
FH_GC_TRAILING(record, struct record, field)
FH_GC_TYPE(code, name, body)
FH_GC_LEAF_TYPE(builtin)

value flonum_box(double number)
{
    struct flonum *f = allocated(fh_gc_new(lisp.heap, flonum));
    f->head.kind = KIND_FLONUM;
    f->number = number;
    return (value)f;
}

value box_new(value content)
{
    struct box *box = allocated(fh_gc_new(lisp.heap, box));
    box->head.kind = KIND_BOX;
    store(&box->content, content);
    return (value)box;
}

value vector_new(size_t count, value fill)
{
    if (count > UINT32_MAX) fail("too many items", fixnum((int64_t)count));
    struct vector *vector = allocated(fh_gc_new_trailing(lisp.heap, vector, count));
    vector->head = (struct object){KIND_VECTOR, (uint32_t)count};
    for (size_t i = 0; i < count; i++) store(&vector->item[i], fill);
    return (value)vector;
}

value closure_new(struct code *code, unsigned captured)
{
    struct closure *closure = allocated(fh_gc_new_trailing(lisp.heap, closure, captured));
    closure->head = (struct object){KIND_CLOSURE, captured};
    store_object(&closure->code, code);
    return (value)closure;
}

struct code *code_new(void)
{
    struct code *code = allocated(fh_gc_new(lisp.heap, code));
    code->head.kind = KIND_CODE;
    return code;
}

value record_new(enum kind kind, unsigned count)
{
    struct record *record = allocated(fh_gc_new_trailing(lisp.heap, record, count));
    record->head = (struct object){kind, count};
    for (unsigned i = 0; i < count; i++) store(&record->field[i], FALSE);
    return (value)record;
}

value macro_new(value transformer)
{
    value macro = record_new(KIND_MACRO, 1);
    store(&record_of(macro)->field[0], transformer);
    return macro;
}

static void builtin_define(const struct builtin_row *row)
{
    value symbol = symbol_intern(row->name);
    struct builtin *builtin = allocated(fh_gc_new(lisp.heap, builtin));
    builtin->head.kind = KIND_BUILTIN;
    builtin->name = row->name;
    builtin->function = row->function;
    builtin->least = row->least;
    builtin->most = row->most;
    store_object(&symbol_of(symbol)->global, builtin);
}

void builtins_define(const struct builtin_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) builtin_define(&rows[i]);
}

int64_t list_length(value list)
{
    int64_t length = 0;
    for (; is_pair(list); list = cdr(list)) length++;
    return list == NIL ? length : -1;
}

value list_join(value list, value tail)
{
    struct list copy = {NIL, NIL};
    for (; is_pair(list); list = cdr(list)) list_add(&copy, car(list));
    if (copy.head == NIL) return tail;
    store(&pair_of(copy.last)->cdr, tail);
    return copy.head;
}

value list_to_vector(value list)
{
    value vector = vector_new((size_t)list_length(list), FALSE);
    for (size_t i = 0; list != NIL; list = cdr(list))
        store(&vector_of(vector)->item[i++], car(list));
    return vector;
}

/* ---- symbols ------------------------------------------------------------------------------------------ */

/* The table is a vector of lists; it doubles when there are as many symbols as lists. */
static size_t symbol_count;

static value symbol_new(value name)
{
    struct symbol *symbol = allocated(fh_gc_new(lisp.heap, symbol));
    symbol->head.kind = KIND_SYMBOL;
    store(&symbol->global, UNDEFINED);
    store(&symbol->name, name);
    return (value)symbol;
}

static void bucket_add(value table, value symbol)
{
    size_t hash = string_hash((value)symbol_of(symbol)->name);
    value *bucket = &vector_of(table)->item[hash & (vector_of(table)->head.count - 1)];
    store(bucket, cons(symbol, *bucket));
}

static void symbols_grow(void)
{
    value old = lisp.roots.symbols, table = vector_new(vector_of(old)->head.count * 2, NIL);
    for (uint32_t i = 0; i < vector_of(old)->head.count; i++)
        for (value l = vector_of(old)->item[i]; l != NIL; l = cdr(l)) bucket_add(table, car(l));
    store(&lisp.roots.symbols, table);
}

value symbol_intern_string(value name)
{
    struct vector *table = vector_of(lisp.roots.symbols);
    size_t at = string_hash(name) & (table->head.count - 1);
    for (value l = table->item[at]; l != NIL; l = cdr(l))
        if (string_compare((value)symbol_of(car(l))->name, name) == 0) return car(l);
    if (++symbol_count > table->head.count) symbols_grow();
    value symbol = symbol_new(string_copy(name, 0, string_of(name)->length));
    bucket_add(lisp.roots.symbols, symbol);
    return symbol;
}

value symbol_intern(const char *name)
{
    return symbol_intern_string(string_from(name, strlen(name)));
}

value symbol_fresh(const char *prefix)
{
    static unsigned number;
    char name[64];
    int length = snprintf(name, sizeof name, "%.40s%u", prefix, ++number);
    return symbol_new(string_from(name, (size_t)length));
}

void value_start(void)
{
    store(&lisp.roots.symbols, vector_new(1024, NIL));
    store(&lisp.roots.no_variables, vector_new(0, NIL));
    store(&lisp.roots.files, vector_new(1, string_from("-", 1)));
    store(&lisp.roots.quote, symbol_intern("quote"));
    store(&lisp.roots.quasiquote, symbol_intern("quasiquote"));
    store(&lisp.roots.unquote, symbol_intern("unquote"));
    store(&lisp.roots.unquote_splicing, symbol_intern("unquote-splicing"));
    store(&lisp.roots.lambda, symbol_intern("lambda"));
    store(&lisp.roots.define, symbol_intern("define"));
    store(&lisp.roots.begin, symbol_intern("begin"));
    store(&lisp.roots.set, symbol_intern("set!"));
    store(&lisp.roots.dots, symbol_intern("..."));
    store(&lisp.roots.arrow, symbol_intern("=>"));
    store(&lisp.roots.otherwise, symbol_intern("else"));
    store(&lisp.roots.let, symbol_intern("let"));
    store(&lisp.roots.cond, symbol_intern("cond"));
    store(&lisp.roots.branch, symbol_intern("if"));
}

/* ---- equality ------------------------------------------------------------------------------------------- */

bool is_eqv(value a, value b)
{
    if (a == b) return true;
    if (!is_kind(a, KIND_FLONUM) || !is_kind(b, KIND_FLONUM)) return false;
    double x = flonum_get(a), y = flonum_get(b);
    return memcmp(&x, &y, sizeof x) == 0;
}

/* Two vectors of one length: their items are compared later. */
static bool vectors_push(struct stack *stack, value a, value b)
{
    uint32_t count = vector_of(a)->head.count;
    if (vector_of(b)->head.count != count) return false;
    for (uint32_t i = count; i-- > 0;) {
        stack_push(stack, vector_of(a)->item[i]);
        stack_push(stack, vector_of(b)->item[i]);
    }
    return true;
}

/* What is not compared at once is pushed. */
static bool equal_step(struct stack *stack, value a, value b)
{
    while (is_pair(a) && is_pair(b)) {
        if (car(a) != car(b)) {
            stack_push(stack, car(a));
            stack_push(stack, car(b));
        }
        a = cdr(a);
        b = cdr(b);
    }
    if (is_eqv(a, b)) return true;
    if (is_kind(a, KIND_STRING) && is_kind(b, KIND_STRING)) return string_compare(a, b) == 0;
    if (is_kind(a, KIND_VECTOR) && is_kind(b, KIND_VECTOR)) return vectors_push(stack, a, b);
    return false;
}

bool is_equal(value a, value b)
{
    struct stack stack = {0};
    if (!equal_step(&stack, a, b)) return false;
    while (stack.count > 0) {
        b = stack_pop(&stack);
        a = stack_pop(&stack);
        if (!equal_step(&stack, a, b)) return false;
    }
    return true;
}
