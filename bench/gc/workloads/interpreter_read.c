// The interpreter's reader: text becomes pairs, numbers and symbols; every symbol is there once.
#include "workloads/interpreter.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 64, NAME_MOST = 32 };

static const char *const form_names[FORMS] = {
    [QUOTE] = "quote",   [IF] = "if",   [DEFINE] = "define", [SET] = "set!",
    [LAMBDA] = "lambda", [LET] = "let", [LETREC] = "letrec", [BEGIN] = "begin",
};

// --- symbols -------------------------------------------------------------------------------------

static const char *symbol_name(value symbol)
{
    return (const char *)((struct bytes *)symbol->right)->data;
}

static size_t name_chain(const char *name)
{
    size_t hash = 5381;
    for (; *name; name++) hash = hash * 33 + (unsigned char)*name;
    return hash % CHAINS;
}

static value symbol_make(const char *name)
{
    size_t size = strlen(name) + 1;
    struct bytes *copy = bytes_new(size);
    memcpy(copy->data, name, size);
    return shaped_make(SHAPE_SYMBOL, NOTHING, copy);
}

static value symbol_intern(const char *name)
{
    struct array *symbols = roots[0];
    size_t chain = name_chain(name);
    for (value at = symbols->slots[chain]; at; at = at->right)
        if (!strcmp(symbol_name(at->left), name)) return at->left;
    value symbol = symbol_make(name);
    STORE(symbols, &symbols->slots[chain], pair_make(symbol, symbols->slots[chain]));
    return symbol;
}

void symbols_make(void)
{
    ROOT_STORE(0, array_new(CHAINS));
    for (unsigned form = QUOTE; form < FORMS; form++)
        symbol_intern(form_names[form])->value |= form << SHAPE_BITS;
    for (unsigned i = 0; primitive_names[i]; i++) {
        value symbol = symbol_intern(primitive_names[i]);
        STORE(symbol, &symbol->left, primitive_make(i));
    }
}

// --- reading -------------------------------------------------------------------------------------

static void blanks_skip(const char **text)
{
    while (isspace((unsigned char)**text)) ++*text;
}

// Behind the opening parenthesis.
static value list_read(const char **text)
{
    blanks_skip(text);
    if (!**text) fail("a list does not end");
    if (**text == ')') {
        ++*text;
        return NULL;
    }
    value first = value_read(text);
    return pair_make(first, list_read(text));
}

static value word_read(const char **text)
{
    char name[NAME_MOST];
    size_t length = strcspn(*text, " \t\n()'");
    if (length == 0 || length >= sizeof name) fail("not a word: %.20s", *text);
    memcpy(name, *text, length);
    name[length] = '\0';
    *text += length;
    return name[0] == '#' ? name[1] == 't' ? TRUE : FALSE : symbol_intern(name);
}

static value number_read(const char **text)
{
    char *end;
    int64_t number = strtoll(*text, &end, 10);
    *text = end;
    return number_make(number);
}

static value quoted_read(const char **text)
{
    value quoted = pair_make(value_read(text), NULL);
    return pair_make(symbol_intern("quote"), quoted);
}

value value_read(const char **text)
{
    blanks_skip(text);
    const char *at = *text;
    if (isdigit((unsigned char)*at) || (*at == '-' && isdigit((unsigned char)at[1])))
        return number_read(text);
    if (*at != '(' && *at != '\'') return word_read(text);
    ++*text;
    return *at == '(' ? list_read(text) : quoted_read(text);
}
