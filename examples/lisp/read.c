/*
 * The reader. It does not recurse: lists that are open lie on a stack in the heap, four entries each:
 * kind, head, last pair, place.
 *
 * Places of lists go to an ephemeron table by pair, which is made anew for each form of a program: what
 * is compiled has its places in its nodes, and the table is garbage then. Rejected: a place in every
 * pair, which doubles it.
 */
#include "read.h"

#include <ctype.h>
#include <stdlib.h>

#include "args.h"
#include "number.h"
#include "stack.h"

enum open { OPEN_LIST, OPEN_DOTTED, OPEN_VECTOR, OPEN_QUOTE, OPEN_IGNORED };
enum { KIND = 4, HEAD = 3, LAST = 2, PLACE = 1, ENTRIES = 4 }; /* counted from the top */

struct reader {
    struct port *port;
    struct stack stack;
    struct text token;
    bool places;
};

static place here(const struct port *port)
{
    return (place)(port->file & 0x3fff) << 48 | (place)port->line << 16 |
           (port->column > 0xffff ? 0xffff : port->column);
}

/* ---- places ------------------------------------------------------------------------------------------- */

place place_of(value v, place otherwise)
{
    struct fh_gc_table *table = lisp.roots.places;
    if (!is_pair(v) || table == NULL) return otherwise;
    value at = (value)fh_gc_table_get(lisp.heap, table, pair_of(v), (void *)FALSE);
    return at == FALSE ? otherwise : (place)fixnum_get(at);
}

static void place_remember(value list, value at)
{
    struct fh_gc_table *table = lisp.roots.places;
    if (is_pair(list) && fh_gc_table_set(lisp.heap, table, pair_of(list), (void *)at))
        fail_memory();
}

/* ---- the stack of what is open -------------------------------------------------------------------------- */

static value *entry(struct reader *reader, int which)
{
    return &reader->stack.items[reader->stack.count - (size_t)which];
}

static void open_push(struct reader *reader, enum open kind, value head)
{
    stack_push(&reader->stack, fixnum(kind));
    stack_push(&reader->stack, head);
    stack_push(&reader->stack, NIL);
    stack_push(&reader->stack, fixnum((int64_t)here(reader->port)));
}

static enum open open_kind(struct reader *reader)
{
    return (enum open)fixnum_get(*entry(reader, KIND));
}

static _Noreturn void read_fail(struct reader *reader, const char *message)
{
    fail_at(here(reader->port), message, string_from(reader->token.bytes, reader->token.count));
}

static void open_append(struct reader *reader, value datum)
{
    value pair = cons(datum, NIL), last = *entry(reader, LAST);
    store(last == NIL ? entry(reader, HEAD) : &pair_of(last)->cdr, pair);
    store(entry(reader, LAST), pair);
}

/* The datum after the dot becomes the end of the list; HEAD of a dotted entry is the list so far. */
static void open_append_dotted(struct reader *reader, value datum)
{
    value last = *entry(reader, LAST);
    if (cdr(last) != NIL) read_fail(reader, "more than one datum after the dot");
    store(&pair_of(last)->cdr, cons(datum, UNDEFINED));
}

static value open_close(struct reader *reader)
{
    enum open kind = open_kind(reader);
    value head = *entry(reader, HEAD), last = *entry(reader, LAST), at = *entry(reader, PLACE);
    if (kind == OPEN_DOTTED) {
        if (cdr(last) == NIL) read_fail(reader, "nothing after the dot");
        store(&pair_of(last)->cdr, car(cdr(last)));
    }
    reader->stack.count -= ENTRIES;
    if (kind == OPEN_VECTOR) return list_to_vector(head);
    if (reader->places) place_remember(head, at);
    return head;
}

/* ---- tokens ----------------------------------------------------------------------------------------------- */

static bool is_delimiter(int32_t c)
{
    return c == PORT_END || c == '(' || c == ')' || c == '[' || c == ']' || c == '"' || c == ';' ||
           c == '\'' || (c < 128 && isspace(c));
}

static void token_read(struct reader *reader)
{
    reader->token.count = 0;
    while (!is_delimiter(port_peek(reader->port)))
        text_add_character(&reader->token, (uint32_t)port_read(reader->port));
}

static bool token_is(struct reader *reader, const char *word)
{
    return reader->token.count == strlen(word) &&
           memcmp(reader->token.bytes, word, reader->token.count) == 0;
}

static uint32_t escape_hex(struct reader *reader)
{
    uint32_t code = 0;
    for (int32_t c; (c = port_read(reader->port)) != ';';) {
        if (c == PORT_END || c > 127 || !isxdigit(c) || code > 0x10ffff)
            read_fail(reader, "bad \\x escape");
        code = code * 16 + (uint32_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
    }
    return code;
}

/* A backslash at the end of a line joins the lines. */
static void escape_read(struct reader *reader)
{
    int32_t c = port_read(reader->port);
    switch (c) {
    case 'n': return text_add_character(&reader->token, '\n');
    case 't': return text_add_character(&reader->token, '\t');
    case 'r': return text_add_character(&reader->token, '\r');
    case 'a': return text_add_character(&reader->token, '\a');
    case '0': return text_add_character(&reader->token, 0);
    case 'x': return text_add_character(&reader->token, escape_hex(reader));
    case PORT_END: return;
    case '\n':
        while (port_peek(reader->port) == ' ' || port_peek(reader->port) == '\t')
            port_read(reader->port);
        return;
    default: text_add_character(&reader->token, (uint32_t)c);
    }
}

/* Up to the closing quote or bar. */
static value quoted_read(struct reader *reader, int32_t end)
{
    reader->token.count = 0;
    for (;;) {
        int32_t c = port_read(reader->port);
        if (c == end) return string_from(reader->token.bytes, reader->token.count);
        if (c == PORT_END) read_fail(reader, "end of file in a string");
        if (c == '\\')
            escape_read(reader);
        else
            text_add_character(&reader->token, (uint32_t)c);
    }
}

static value character_read(struct reader *reader)
{
    static const struct {
        const char *name;
        uint32_t code;
    } names[] = {{"space", ' '}, {"newline", '\n'}, {"tab", '\t'},    {"return", '\r'},
                 {"null", 0},    {"nul", 0},        {"delete", 127},  {"escape", 27},
                 {"alarm", 7},   {"backspace", 8},  {"linefeed", 10}, {"altmode", 27}};
    uint32_t code;
    reader->token.count = 0;
    int32_t first = port_read(reader->port);
    if (first == PORT_END) read_fail(reader, "end of file in a character");
    text_add_character(&reader->token, (uint32_t)first);
    while (!is_delimiter(port_peek(reader->port)))
        text_add_character(&reader->token, (uint32_t)port_read(reader->port));
    if (utf8_decode(reader->token.bytes, reader->token.count, &code) == reader->token.count)
        return character(code);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (token_is(reader, names[i].name)) return character(names[i].code);
    value number =
        first == 'x' ? number_parse(reader->token.bytes + 1, reader->token.count - 1, 16) : FALSE;
    if (!is_fixnum(number) || fixnum_get(number) < 0 || fixnum_get(number) > 0x10ffff)
        read_fail(reader, "unknown character");
    return character((uint32_t)fixnum_get(number));
}

static value number_or_symbol(struct reader *reader)
{
    token_read(reader);
    if (reader->token.count == 0) read_fail(reader, "unexpected character");
    value number = number_parse(reader->token.bytes, reader->token.count, 10);
    if (number != FALSE) return number;
    return symbol_intern_string(string_from(reader->token.bytes, reader->token.count));
}

static value hash_read(struct reader *reader)
{
    token_read(reader);
    if (token_is(reader, "t") || token_is(reader, "true")) return TRUE;
    if (token_is(reader, "f") || token_is(reader, "false")) return FALSE;
    if (reader->token.count < 2) read_fail(reader, "unknown # syntax");
    int radix = reader->token.bytes[0] == 'x'   ? 16
                : reader->token.bytes[0] == 'b' ? 2
                : reader->token.bytes[0] == 'o' ? 8
                                                : 10;
    bool prefixed = strchr("xbod", reader->token.bytes[0]) != NULL;
    value number =
        prefixed ? number_parse(reader->token.bytes + 1, reader->token.count - 1, radix) : FALSE;
    if (number == FALSE) read_fail(reader, "unknown # syntax");
    return number;
}

/* ---- data -------------------------------------------------------------------------------------------------- */

static void comment_skip(struct reader *reader)
{
    for (int depth = 1; depth > 0;) {
        int32_t c = port_read(reader->port);
        if (c == PORT_END) read_fail(reader, "end of file in a comment");
        if (c == '|' && port_peek(reader->port) == '#')
            depth--;
        else if (c == '#' && port_peek(reader->port) == '|')
            depth++;
        else
            continue;
        port_read(reader->port);
    }
}

static int32_t blanks_skip(struct reader *reader)
{
    for (;;) {
        int32_t c = port_peek(reader->port);
        if (c == ';') {
            while (c != '\n' && c != PORT_END) c = port_read(reader->port);
        } else if (c != PORT_END && c < 128 && isspace(c)) {
            port_read(reader->port);
        } else {
            return c;
        }
    }
}

static void quote_open(struct reader *reader, value symbol)
{
    open_push(reader, OPEN_QUOTE, symbol);
}

static void unquote_open(struct reader *reader)
{
    bool splicing = port_peek(reader->port) == '@';
    if (splicing) port_read(reader->port);
    quote_open(reader, splicing ? lisp.roots.unquote_splicing : lisp.roots.unquote);
}

/* After '#': true if there is a datum. */
static bool hash_next(struct reader *reader, value *datum)
{
    int32_t c = port_peek(reader->port);
    if (!strchr("(\\|;", c) || c <= 0) {
        *datum = hash_read(reader);
        return true;
    }
    port_read(reader->port);
    if (c == '(') open_push(reader, OPEN_VECTOR, NIL);
    if (c == '|') comment_skip(reader);
    if (c == ';') open_push(reader, OPEN_IGNORED, NIL);
    if (c == '\\') *datum = character_read(reader);
    return c == '\\';
}

/* A dot of its own: what follows is the end of the list. */
static bool dot_next(struct reader *reader, value *datum)
{
    *datum = number_or_symbol(reader);
    if (!token_is(reader, ".")) return true;
    if (reader->stack.count == 0 || open_kind(reader) != OPEN_LIST || *entry(reader, HEAD) == NIL)
        read_fail(reader, "misplaced dot");
    store(entry(reader, KIND), fixnum(OPEN_DOTTED));
    return false;
}

static bool close_next(struct reader *reader, value *datum)
{
    port_read(reader->port);
    reader->token.count = 0;
    if (reader->stack.count == 0 || open_kind(reader) >= OPEN_QUOTE)
        read_fail(reader, "unexpected closing parenthesis");
    *datum = open_close(reader);
    return true;
}

/* One token: true if it completes a datum. */
static bool token_next(struct reader *reader, value *datum)
{
    int32_t c = blanks_skip(reader);
    if (c == ')' || c == ']') return close_next(reader, datum);
    if (c == '.') return dot_next(reader, datum);
    if (!strchr("([\"'`,#|", c) || c <= 0) {
        *datum = number_or_symbol(reader);
        return true;
    }
    if (c == '(' || c == '[') open_push(reader, OPEN_LIST, NIL);
    port_read(reader->port);
    if (c == '\'') quote_open(reader, lisp.roots.quote);
    if (c == '`') quote_open(reader, lisp.roots.quasiquote);
    if (c == ',') unquote_open(reader);
    if (c == '"') *datum = quoted_read(reader, '"');
    if (c == '|') *datum = symbol_intern_string(quoted_read(reader, '|'));
    if (c == '#') return hash_next(reader, datum);
    return c == '"' || c == '|';
}

/* A datum goes to what is open; true if nothing is. */
static bool deliver(struct reader *reader, value *datum)
{
    while (reader->stack.count > 0) {
        switch (open_kind(reader)) {
        case OPEN_LIST:
        case OPEN_VECTOR: open_append(reader, *datum); return false;
        case OPEN_DOTTED: open_append_dotted(reader, *datum); return false;
        case OPEN_IGNORED: reader->stack.count -= ENTRIES; return false;
        case OPEN_QUOTE:
            *datum = cons(*entry(reader, HEAD), cons(*datum, NIL));
            if (reader->places) place_remember(*datum, *entry(reader, PLACE));
            reader->stack.count -= ENTRIES;
        }
    }
    return true;
}

value read_value(struct port *port, bool places)
{
    struct reader reader = {.port = port, .places = places};
    value datum;
    if (places) store_object(&lisp.roots.places, allocated(fh_gc_table_new(lisp.heap)));
    for (;;) {
        if (blanks_skip(&reader) == PORT_END) {
            if (reader.stack.count == 0) return END_OF_FILE;
            fail_at((place)fixnum_get(*entry(&reader, PLACE)),
                    "end of file inside a list that began here", *entry(&reader, HEAD));
        }
        if (token_next(&reader, &datum) && deliver(&reader, &datum)) return datum;
    }
}

/* ---- builtins ---------------------------------------------------------------------------------------------- */

static value builtin_read(unsigned argc, value *argv)
{
    value port = argc ? argv[0] : lisp.roots.input;
    arg_kind(port, KIND_PORT, "not a port");
    if (!(port_of(port)->head.count & PORT_INPUT)) fail("not an input port", port);
    return read_value(port_of(port), false);
}

void read_define(void)
{
    static const struct builtin_row rows[] = {{"read", builtin_read, 0, 1}};
    BUILTINS_DEFINE(rows);
}
