/*
 * What a value is: one word.
 *
 *      63  62  61            48  47               0
 *     +---+---------------------------------------+
 *     | 1 | integer of 63 bits                    |  fixnum
 *     +---+---+-----------------------------------+
 *     | 0   1 | double, exponent shortened        |  flonum; what does not fit is an object
 *     +-------+---+-------------------------------+
 *     | 0   0   1 | number of it                  |  character or constant
 *     +-----------+--+----------------------------+
 *     | 0 ........ 0 | address of an object  + 1  |  pair: 16 bytes, nothing but car and cdr
 *     +--------------+----------------------------+
 *     | 0 ........ 0 | address of an object  + 0  |  any other: begins with a struct object
 *     +--------------+----------------------------+
 *
 * Invariant: a word that is not a reference is no address either, since its upper bits are set. So
 * the types name their fields exactly and need no trace function, and no integer can keep an object
 * alive or be changed when one moves. Rejected: tags in the low bits of integers, which need a trace
 * function for every type; NaN boxes, whose integers are too short.
 *
 * Every store into an object goes through store(): so the interpreter runs under every policy.
 */
#ifndef LISP_VALUE_H
#define LISP_VALUE_H

#include <freehold/gc.h>

#include <assert.h>
#include <string.h>

#include "lisp.h"

/* ---- immediate values ----------------------------------------------------------------------- */

#define FIXNUM_BIT (1ull << 63)
#define FLONUM_TAG (1ull << 62)
#define CONSTANT_BIT (1ull << 61)
#define CHARACTER_TAG (CONSTANT_BIT | 1ull << 32)
#define JUMP_TAG (CONSTANT_BIT | 1ull << 33)

#define FALSE (CONSTANT_BIT | 0)
#define TRUE (CONSTANT_BIT | 1)
#define NIL (CONSTANT_BIT | 2)
#define UNSPECIFIED (CONSTANT_BIT | 3)
#define END_OF_FILE (CONSTANT_BIT | 4)
#define UNDEFINED                                                                                  \
    (CONSTANT_BIT | 5) /* of a variable before its definition; never seen by programs */
#define TAIL_CALL (CONSTANT_BIT | 6) /* what a node returns that left a call in its frame */

#define FIXNUM_MAX ((1ll << 62) - 1)
#define FIXNUM_MIN (-(1ll << 62))

static inline value boolean(bool b)
{
    return b ? TRUE : FALSE;
}

static inline bool is_fixnum(value v)
{
    return (int64_t)v < 0;
}

static inline bool are_fixnums(value a, value b)
{
    return (int64_t)(a & b) < 0;
}

static inline bool fits_fixnum(int64_t n)
{
    return n >= FIXNUM_MIN && n <= FIXNUM_MAX;
}

static inline value fixnum(int64_t n)
{
    return (value)n | FIXNUM_BIT;
}

static inline int64_t fixnum_get(value v)
{
    return (int64_t)(v << 1) >> 1;
}

static inline bool is_character(value v)
{
    return v >> 32 == CHARACTER_TAG >> 32;
}

static inline value character(uint32_t code)
{
    return CHARACTER_TAG | code;
}

static inline uint32_t character_get(value v)
{
    return (uint32_t)v;
}

/* ---- objects -------------------------------------------------------------------------------- */

enum kind {
    KIND_NONE,
    KIND_FLONUM,
    KIND_STRING,
    KIND_SYMBOL,
    KIND_VECTOR,
    KIND_CLOSURE,
    KIND_BUILTIN,
    KIND_BOX,
    KIND_TABLE,
    KIND_PORT,
    KIND_MACRO,
    KIND_CONDITION,
    KIND_PROMISE,
    KIND_RECORD,
    KIND_VALUES,
    KIND_VARIABLE,
    KIND_CODE,
};

struct object {
    uint32_t kind;
    uint32_t count; /* of items, or flags, as the kind has it */
};

struct pair {
    value car, cdr;
};

struct flonum {
    struct object head;
    double number;
};

/* Characters of 1 byte each, or of 4 if `head.count` is 1: one that does not fit widens the string. */
struct string {
    struct object head;
    size_t length;
    void *units;
};

/* `head.count` is the number of a special form, or 0. */
struct symbol {
    struct object head;
    value global; /* UNDEFINED; a procedure or other value; a macro */
    struct string *name;
};

struct vector {
    struct object head;
    value item[];
};

struct box {
    struct object head;
    value content;
};

struct node;

/* The compiled body of a lambda. */
struct code {
    struct object head; /* count: 1 if further arguments become a list */
    uint32_t required;  /* arguments */
    uint32_t frame;     /* slots: the procedure itself, arguments, variables, scratch */
    value name;
    struct node *body;
};

struct closure {
    struct object head;
    struct code *code;
    value captured[];
};

typedef value builtin_fn(unsigned argc, value *argv);

struct builtin {
    struct object head;
    const char *name;
    builtin_fn *function;
    int16_t least, most; /* arguments; most -1: any number */
};

/* A record of any kind: `type` first. Promises, values and conditions have the same layout. */
struct record {
    struct object head;
    value field[];
};

static_assert(sizeof(struct pair) == 16 && sizeof(struct box) == 16, "one granule each");
static_assert(sizeof(struct vector) == 8, "a vector is a word and its items");

FH_GC_TYPE(pair, car, cdr)

static inline bool is_pair(value v)
{
    return (v & 0xffff000000000001ull) == 1;
}

static inline struct pair *pair_of(value v)
{
    return (struct pair *)(v - 1);
}

static inline value pair_value(struct pair *pair)
{
    return (value)pair + 1;
}

static inline value car(value v)
{
    return pair_of(v)->car;
}

static inline value cdr(value v)
{
    return pair_of(v)->cdr;
}

static inline bool is_object(value v)
{
    return (v & 0xffff000000000001ull) == 0;
}

static inline bool is_kind(value v, enum kind kind)
{
    return is_object(v) && ((struct object *)v)->kind == kind;
}

static inline bool is_symbol(value v)
{
    return is_kind(v, KIND_SYMBOL);
}

static inline bool is_procedure(value v)
{
    return is_kind(v, KIND_CLOSURE) || is_kind(v, KIND_BUILTIN);
}

static inline struct symbol *symbol_of(value v)
{
    return (struct symbol *)v;
}

static inline struct string *string_of(value v)
{
    return (struct string *)v;
}

static inline struct vector *vector_of(value v)
{
    return (struct vector *)v;
}

static inline struct closure *closure_of(value v)
{
    return (struct closure *)v;
}

static inline struct builtin *builtin_of(value v)
{
    return (struct builtin *)v;
}

static inline struct record *record_of(value v)
{
    return (struct record *)v;
}

/* ---- stores and allocation -------------------------------------------------------------------- */

/* *slot = v, inside an object or a root. */
static inline void store(void *slot, value v)
{
    fh_gc_store_inline(lisp.heap, slot, (void *)v);
}

static inline void store_object(void *slot, const void *object)
{
    fh_gc_store_inline(lisp.heap, slot, (void *)object);
}

/* What an allocation gave, or the error that memory is out. */
static inline void *allocated(void *p)
{
    if (__builtin_expect(p == NULL, 0)) fail_memory();
    return p;
}

static inline value cons(value a, value d)
{
    struct pair *p = allocated(fh_gc_new(lisp.heap, pair));
    store(&p->car, a);
    store(&p->cdr, d);
    return pair_value(p);
}

value flonum_box(double number);
value box_new(value content);
value vector_new(size_t count, value fill);
value closure_new(struct code *code, unsigned captured);
struct code *code_new(void);
value record_new(enum kind kind, unsigned count);
value macro_new(value transformer);

/* A row of the tables that define builtins. */
struct builtin_row {
    const char *name;
    builtin_fn *function;
    int16_t least, most; /* arguments; most -1: any number */
};
void builtins_define(const struct builtin_row *rows, size_t count);
#define BUILTINS_DEFINE(rows) builtins_define(rows, sizeof(rows) / sizeof((rows)[0]))

/* Symbols of equal names are one object. */
value symbol_intern(const char *name);
value symbol_intern_string(value string);
/* One that no other is equal to. */
value symbol_fresh(const char *prefix);

/* ---- flonums ----------------------------------------------------------------------------------- */

/* A double whose exponent's upper three bits are 011 or 100, which is nearly all that occur, loses one
 * of them: rotated left by one, these bits are on top, and adding 001 makes them 100 or 101. */
static inline value flonum(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, 8);
    uint64_t turned = (bits << 1 | bits >> 63) + CONSTANT_BIT;
    if (__builtin_expect(turned >> 62 == 2, 1)) return turned ^ 3ull << 62;
    return flonum_box(number);
}

static inline bool is_short_flonum(value v)
{
    return v >> 62 == 1;
}

static inline double short_flonum_get(value v)
{
    uint64_t turned = (v ^ 3ull << 62) - CONSTANT_BIT, bits = turned >> 1 | turned << 63;
    double number;
    memcpy(&number, &bits, 8);
    return number;
}

static inline bool is_flonum(value v)
{
    return is_short_flonum(v) || is_kind(v, KIND_FLONUM);
}

static inline double flonum_get(value v)
{
    return is_short_flonum(v) ? short_flonum_get(v) : ((struct flonum *)v)->number;
}

static inline bool is_number(value v)
{
    return is_fixnum(v) || is_flonum(v);
}

/* ---- lists -------------------------------------------------------------------------------------- */

/* A list that grows at its end: {NIL, NIL} at first. */
struct list {
    value head, last;
};

static inline void list_add(struct list *list, value item)
{
    value pair = cons(item, NIL);
    if (list->head == NIL) {
        list->head = pair;
    } else {
        store(&pair_of(list->last)->cdr, pair);
    }
    list->last = pair;
}

/* The number of items, or -1 if it is no proper list. */
int64_t list_length(value list);

/* The items of one and then the other, which is shared. */
value list_join(value list, value tail);
value list_to_vector(value list);

/* ---- equality ------------------------------------------------------------------------------------ */

bool is_eqv(value a, value b);
bool is_equal(value a, value b);

#endif
