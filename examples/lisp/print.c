/*
 * The printer. It does not recurse: what is left to print is a stack in the heap, two entries for each
 * thing, so data nested a million deep prints. Circular data does not end (it ends when memory does).
 */
#include "print.h"

#include <stdio.h>

#include "args.h"
#include "number.h"
#include "port.h"
#include "stack.h"

/* How an entry goes on: a datum, the rest of a list, a vector from item n on. */
enum { DATUM = 0, REST = 1, ITEMS = 2 };

static void say(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

/* ---- atoms ---------------------------------------------------------------------------------------------- */

static void string_write(struct text *text, const struct string *string)
{
    say(text, "\"");
    for (size_t i = 0; i < string->length; i++) {
        uint32_t code = string_get(string, i);
        if (code == '\n')
            say(text, "\\n");
        else if (code == '\t')
            say(text, "\\t");
        else {
            if (code == '"' || code == '\\') say(text, "\\");
            text_add_character(text, code);
        }
    }
    say(text, "\"");
}

static void character_write(struct text *text, uint32_t code)
{
    say(text, "#\\");
    switch (code) {
    case ' ': return say(text, "space");
    case '\n': return say(text, "newline");
    case '\t': return say(text, "tab");
    case '\r': return say(text, "return");
    case 0: return say(text, "null");
    default: text_add_character(text, code);
    }
}

/* Whether a name would be read as something else, or as more than one thing. */
static bool needs_bars(const struct string *name)
{
    struct text text = {0};
    for (size_t i = 0; i < name->length; i++) {
        uint32_t code = string_get(name, i);
        if (code <= ' ' || (code < 128 && strchr("()[]\"';`,|\\", (int)code))) return true;
    }
    string_text((value)name, &text);
    return name->length == 0 || number_parse(text.bytes, text.count, 10) != FALSE ||
           string_get(name, 0) == '#' || (name->length == 1 && string_get(name, 0) == '.');
}

static void symbol_print(struct text *text, const struct string *name, bool write)
{
    bool bars = write && needs_bars(name);
    if (bars) say(text, "|");
    for (size_t i = 0; i < name->length; i++) {
        uint32_t code = string_get(name, i);
        if (bars && (code == '|' || code == '\\')) say(text, "\\");
        text_add_character(text, code);
    }
    if (bars) say(text, "|");
}

static void constant_print(struct text *text, value v)
{
    switch (v) {
    case TRUE: return say(text, "#t");
    case FALSE: return say(text, "#f");
    case NIL: return say(text, "()");
    case END_OF_FILE: return say(text, "#<eof>");
    case UNSPECIFIED: return say(text, "#<unspecified>");
    default: say(text, "#<undefined>");
    }
}

static void named_print(struct text *text, const char *kind, value name)
{
    say(text, "#<");
    say(text, kind);
    if (is_symbol(name)) {
        say(text, " ");
        string_text((value)symbol_of(name)->name, text);
    }
    say(text, ">");
}

static void object_print(struct text *text, value v, bool write)
{
    switch (((struct object *)v)->kind) {
    case KIND_FLONUM: return number_text(v, 10, text);
    case KIND_STRING: return write ? string_write(text, string_of(v)) : string_text(v, text);
    case KIND_SYMBOL: return symbol_print(text, symbol_of(v)->name, write);
    case KIND_CLOSURE: return named_print(text, "procedure", closure_of(v)->code->name);
    case KIND_BUILTIN:
        say(text, "#<procedure ");
        say(text, builtin_of(v)->name);
        return say(text, ">");
    case KIND_TABLE: return named_print(text, "hash-table", FALSE);
    case KIND_PORT: return named_print(text, "port", FALSE);
    case KIND_MACRO: return named_print(text, "macro", FALSE);
    case KIND_CONDITION: return named_print(text, "error", FALSE);
    case KIND_PROMISE: return named_print(text, "promise", FALSE);
    case KIND_RECORD:
        return named_print(text, "record", record_of(record_of(v)->field[0])->field[1]);
    case KIND_VALUES: return named_print(text, "values", FALSE);
    default: named_print(text, "object", FALSE);
    }
}

static void atom_print(struct text *text, value v, bool write)
{
    if (is_fixnum(v) || is_short_flonum(v)) return number_text(v, 10, text);
    if (is_character(v))
        return write ? character_write(text, character_get(v))
                     : text_add_character(text, character_get(v));
    if (is_object(v)) return object_print(text, v, write);
    constant_print(text, v);
}

/* ---- lists and vectors -------------------------------------------------------------------------------- */

static void push(struct stack *stack, value v, int64_t how)
{
    stack_push(stack, v);
    stack_push(stack, fixnum(how));
}

static const char *quote_of(value v)
{
    if (!is_pair(cdr(v)) || cdr(cdr(v)) != NIL) return NULL;
    if (car(v) == lisp.roots.quote) return "'";
    if (car(v) == lisp.roots.quasiquote) return "`";
    if (car(v) == lisp.roots.unquote) return ",";
    return car(v) == lisp.roots.unquote_splicing ? ",@" : NULL;
}

static void pair_print(struct text *text, struct stack *stack, value v)
{
    const char *quote = quote_of(v);
    if (quote) {
        say(text, quote);
        return push(stack, car(cdr(v)), DATUM);
    }
    say(text, "(");
    push(stack, cdr(v), REST);
    push(stack, car(v), DATUM);
}

static void rest_print(struct text *text, struct stack *stack, value v)
{
    if (v == NIL) return say(text, ")");
    if (is_pair(v)) {
        say(text, " ");
        push(stack, cdr(v), REST);
        return push(stack, car(v), DATUM);
    }
    say(text, " . ");
    push(stack, NIL, REST);
    push(stack, v, DATUM);
}

static void items_print(struct text *text, struct stack *stack, value v, int64_t at)
{
    if (at == vector_of(v)->head.count) return say(text, ")");
    if (at > 0) say(text, " ");
    push(stack, v, ITEMS + at + 1);
    push(stack, vector_of(v)->item[at], DATUM);
}

void print_value(struct text *text, value v, bool write)
{
    struct stack stack = {0};
    if (!is_pair(v) && !is_kind(v, KIND_VECTOR)) return atom_print(text, v, write);
    push(&stack, v, DATUM);
    while (stack.count > 0) {
        int64_t how = fixnum_get(stack_pop(&stack));
        v = stack_pop(&stack);
        if (how >= ITEMS) {
            items_print(text, &stack, v, how - ITEMS);
        } else if (how == REST) {
            rest_print(text, &stack, v);
        } else if (is_pair(v)) {
            pair_print(text, &stack, v);
        } else if (is_kind(v, KIND_VECTOR)) {
            say(text, "#(");
            push(&stack, v, ITEMS);
        } else {
            atom_print(text, v, write);
        }
    }
}

/* ---- builtins --------------------------------------------------------------------------------------------- */

static value print_to(unsigned argc, value *argv, bool write)
{
    value port = argc > 1 ? argv[1] : lisp.roots.output;
    arg_kind(port, KIND_PORT, "not a port");
    if (!(port_of(port)->head.count & PORT_OUTPUT)) fail("not an output port", port);
    if (port_of(port)->head.count & PORT_CLOSED) fail("port is closed", port);
    print_value(&port_of(port)->text, argv[0], write);
    port_settle(port_of(port));
    return UNSPECIFIED;
}

static value builtin_write(unsigned argc, value *argv)
{
    return print_to(argc, argv, true);
}

static value builtin_display(unsigned argc, value *argv)
{
    return print_to(argc, argv, false);
}

static const struct builtin_row rows[] = {
    {"write", builtin_write, 1, 2},
    {"display", builtin_display, 1, 2},
    {"write-string", builtin_display, 1, 2},
};

void print_define(void)
{
    BUILTINS_DEFINE(rows);
}
