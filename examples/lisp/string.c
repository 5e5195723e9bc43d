/* Builtins: strings, characters, symbols. */
#include <wctype.h>

#include "args.h"
#include "text.h"

/* ---- strings ---------------------------------------------------------------------------------------- */

static value builtin_is_string(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_kind(argv[0], KIND_STRING));
}

static value builtin_make(unsigned argc, value *argv)
{
    return string_new(arg_index(argv[0], UINT32_MAX), argc > 1 ? arg_character(argv[1]) : ' ');
}

static value builtin_string(unsigned argc, value *argv)
{
    value string = string_new(argc, ' ');
    for (unsigned i = 0; i < argc; i++) string_put(string, i, arg_character(argv[i]));
    return string;
}

static value builtin_length(unsigned argc, value *argv)
{
    (void)argc;
    return fixnum((int64_t)arg_string(argv[0])->length);
}

static size_t arg_place(value *argv)
{
    size_t length = arg_string(argv[0])->length, at = arg_index(argv[1], length);
    if (at == length) fail("out of range", argv[1]);
    return at;
}

static value builtin_ref(unsigned argc, value *argv)
{
    (void)argc;
    return character(string_get(arg_string(argv[0]), arg_place(argv)));
}

static value builtin_set(unsigned argc, value *argv)
{
    (void)argc;
    string_put(argv[0], arg_place(argv), arg_character(argv[2]));
    return UNSPECIFIED;
}

static value builtin_substring(unsigned argc, value *argv)
{
    struct range range = arg_range(argc, argv, 1, arg_string(argv[0])->length);
    return string_copy(argv[0], range.from, range.to);
}

static value builtin_append(unsigned argc, value *argv)
{
    size_t length = 0, at = 0;
    bool wide = false;
    for (unsigned i = 0; i < argc; i++) {
        length += arg_string(argv[i])->length;
        wide |= string_is_wide(string_of(argv[i]));
    }
    value result = string_new(length, wide ? 0x100 : ' ');
    for (unsigned i = 0; i < argc; i++) {
        string_move(result, at, argv[i], 0, string_of(argv[i])->length);
        at += string_of(argv[i])->length;
    }
    return result;
}

static value builtin_to_list(unsigned argc, value *argv)
{
    struct range range = arg_range(argc, argv, 1, arg_string(argv[0])->length);
    value list = NIL;
    for (size_t i = range.to; i > range.from; i--)
        list = cons(character(string_get(string_of(argv[0]), i - 1)), list);
    return list;
}

static value builtin_from_list(unsigned argc, value *argv)
{
    (void)argc;
    int64_t length = list_length(argv[0]);
    if (length < 0) fail("not a list", argv[0]);
    value string = string_new((size_t)length, ' ');
    size_t at = 0;
    for (value l = argv[0]; l != NIL; l = cdr(l)) string_put(string, at++, arg_character(car(l)));
    return string;
}

static value builtin_fill(unsigned argc, value *argv)
{
    struct range range = arg_range(argc, argv, 2, arg_string(argv[0])->length);
    for (size_t i = range.from; i < range.to; i++) string_put(argv[0], i, arg_character(argv[1]));
    return UNSPECIFIED;
}

static value compare_all(unsigned argc, value *argv, unsigned wanted)
{
    for (unsigned i = 0; i < argc; i++) arg_string(argv[i]);
    for (unsigned i = 0; i + 1 < argc; i++)
        if (!(wanted & 1u << (string_compare(argv[i], argv[i + 1]) + 1))) return FALSE;
    return TRUE;
}

static value builtin_same(unsigned argc, value *argv)
{
    return compare_all(argc, argv, 2);
}

static value builtin_before(unsigned argc, value *argv)
{
    return compare_all(argc, argv, 1);
}

static value builtin_after(unsigned argc, value *argv)
{
    return compare_all(argc, argv, 4);
}

/* (string-search pattern string [from]): where it begins, or #f. */
static value builtin_search(unsigned argc, value *argv)
{
    struct string *pattern = arg_string(argv[0]), *string = arg_string(argv[1]);
    size_t at = argc > 2 ? arg_index(argv[2], string->length) : 0;
    for (; at + pattern->length <= string->length; at++) {
        size_t i = 0;
        while (i < pattern->length && string_get(pattern, i) == string_get(string, at + i)) i++;
        if (i == pattern->length) return fixnum((int64_t)at);
    }
    return FALSE;
}

static value map_characters(value v, wint_t (*function)(wint_t))
{
    struct string *from = arg_string(v);
    value result = string_copy(v, 0, from->length);
    for (size_t i = 0; i < from->length; i++) string_put(result, i, function(string_get(from, i)));
    return result;
}

static value builtin_upcase(unsigned argc, value *argv)
{
    (void)argc;
    return map_characters(argv[0], towupper);
}

static value builtin_downcase(unsigned argc, value *argv)
{
    (void)argc;
    return map_characters(argv[0], towlower);
}

/* ---- characters --------------------------------------------------------------------------------------- */

static value builtin_is_character(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_character(argv[0]));
}

static value builtin_to_integer(unsigned argc, value *argv)
{
    (void)argc;
    return fixnum(arg_character(argv[0]));
}

static value builtin_from_integer(unsigned argc, value *argv)
{
    (void)argc;
    return character((uint32_t)arg_index(argv[0], 0x10ffff));
}

static value builtin_char_same(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(arg_character(argv[0]) == arg_character(argv[1]));
}

static value builtin_char_before(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(arg_character(argv[0]) < arg_character(argv[1]));
}

static value builtin_is_alphabetic(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(iswalpha(arg_character(argv[0])));
}

static value builtin_is_numeric(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(iswdigit(arg_character(argv[0])));
}

static value builtin_is_whitespace(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(iswspace(arg_character(argv[0])));
}

static value builtin_char_upcase(unsigned argc, value *argv)
{
    (void)argc;
    return character(towupper(arg_character(argv[0])));
}

static value builtin_char_downcase(unsigned argc, value *argv)
{
    (void)argc;
    return character(towlower(arg_character(argv[0])));
}

/* ---- symbols ------------------------------------------------------------------------------------------- */

static value builtin_is_symbol(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_symbol(argv[0]));
}

static value builtin_symbol_string(unsigned argc, value *argv)
{
    (void)argc;
    value name = (value)arg_symbol(argv[0])->name;
    return string_copy(name, 0, string_of(name)->length);
}

static value builtin_string_symbol(unsigned argc, value *argv)
{
    (void)argc;
    arg_string(argv[0]);
    return symbol_intern_string(argv[0]);
}

static value builtin_gensym(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return symbol_fresh("g");
}

static const struct builtin_row rows[] = {
    {"string?", builtin_is_string, 1, 1},
    {"make-string", builtin_make, 1, 2},
    {"string", builtin_string, 0, -1},
    {"string-length", builtin_length, 1, 1},
    {"string-ref", builtin_ref, 2, 2},
    {"string-set!", builtin_set, 3, 3},
    {"substring", builtin_substring, 2, 3},
    {"string-copy", builtin_substring, 1, 3},
    {"string-append", builtin_append, 0, -1},
    {"string->list", builtin_to_list, 1, 3},
    {"list->string", builtin_from_list, 1, 1},
    {"string-fill!", builtin_fill, 2, 4},
    {"string=?", builtin_same, 1, -1},
    {"string<?", builtin_before, 1, -1},
    {"string>?", builtin_after, 1, -1},
    {"string-search", builtin_search, 2, 3},
    {"string-upcase", builtin_upcase, 1, 1},
    {"string-downcase", builtin_downcase, 1, 1},
    {"char?", builtin_is_character, 1, 1},
    {"char->integer", builtin_to_integer, 1, 1},
    {"integer->char", builtin_from_integer, 1, 1},
    {"char=?", builtin_char_same, 2, 2},
    {"char<?", builtin_char_before, 2, 2},
    {"char-alphabetic?", builtin_is_alphabetic, 1, 1},
    {"char-numeric?", builtin_is_numeric, 1, 1},
    {"char-whitespace?", builtin_is_whitespace, 1, 1},
    {"char-upcase", builtin_char_upcase, 1, 1},
    {"char-downcase", builtin_char_downcase, 1, 1},
    {"symbol?", builtin_is_symbol, 1, 1},
    {"symbol->string", builtin_symbol_string, 1, 1},
    {"string->symbol", builtin_string_symbol, 1, 1},
    {"gensym", builtin_gensym, 0, 0},
};

void string_define(void)
{
    BUILTINS_DEFINE(rows);
}
