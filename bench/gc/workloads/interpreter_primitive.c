// The interpreter's primitives: arithmetic, pairs, vectors.
#include "workloads/interpreter.h"

// PRIMITIVE(number, name, how many arguments, what it gives for a[0], a[1], a[2])
#define PRIMITIVES                                                                                 \
    PRIMITIVE(ADD, "+", 2, number_make(number_of(a[0]) + number_of(a[1])))                         \
    PRIMITIVE(SUBTRACT, "-", 2, number_make(number_of(a[0]) - number_of(a[1])))                    \
    PRIMITIVE(MULTIPLY, "*", 2, number_make(number_of(a[0]) * number_of(a[1])))                    \
    PRIMITIVE(QUOTIENT, "quotient", 2, number_make(number_of(a[0]) / divisor_of(a[1])))            \
    PRIMITIVE(REMAINDER, "remainder", 2, number_make(number_of(a[0]) % divisor_of(a[1])))          \
    PRIMITIVE(LESS, "<", 2, truth_make(number_of(a[0]) < number_of(a[1])))                         \
    PRIMITIVE(EQUAL, "=", 2, truth_make(number_of(a[0]) == number_of(a[1])))                       \
    PRIMITIVE(SAME, "eq?", 2, truth_make(a[0] == a[1]))                                            \
    PRIMITIVE(EMPTY, "null?", 1, truth_make(!a[0]))                                                \
    PRIMITIVE(CONS, "cons", 2, pair_make(a[0], a[1]))                                              \
    PRIMITIVE(CAR, "car", 1, first_of(a[0]))                                                       \
    PRIMITIVE(CDR, "cdr", 1, rest_of(a[0]))                                                        \
    PRIMITIVE(SET_CDR, "set-cdr!", 2, rest_set(a[0], a[1]))                                        \
    PRIMITIVE(MAKE_VECTOR, "make-vector", 1, vector_make(number_of(a[0])))                         \
    PRIMITIVE(VECTOR_REF, "vector-ref", 2, *vector_slot(a[0], a[1]))                               \
    PRIMITIVE(VECTOR_SET, "vector-set!", 3, vector_set(a[0], a[1], a[2]))

#define PRIMITIVE(number, name, count, result) name,
const char *const primitive_names[] = {PRIMITIVES NULL};
#undef PRIMITIVE

#define PRIMITIVE(number, name, count, result) count,
static const unsigned char parameters[] = {PRIMITIVES};
#undef PRIMITIVE

static value truth_make(bool truth)
{
    return truth ? TRUE : FALSE;
}

static int64_t divisor_of(value number)
{
    int64_t divisor = number_of(number);
    if (divisor <= 0) fail("a divisor that is not positive");
    return divisor;
}

static value rest_set(value pair, value rest)
{
    if (!is_shaped(pair, SHAPE_PAIR)) fail("a pair was expected");
    STORE(pair, &pair->right, rest);
    return NOTHING;
}

// --- vectors -------------------------------------------------------------------------------------

static value vector_make(int64_t length)
{
    if (length < 0 || length > 1 << 24) fail("no vector of such a length");
    return shaped_make(SHAPE_VECTOR, array_new((size_t)length), number_make(length));
}

static struct array *vector_array(value vector, value index)
{
    if (!is_shaped(vector, SHAPE_VECTOR)) fail("a vector was expected");
    if ((uint64_t)number_of(index) >= (uint64_t)number_of(vector->right))
        fail("outside of a vector");
    return (struct array *)vector->left;
}

static value *vector_slot(value vector, value index)
{
    return (value *)&vector_array(vector, index)->slots[number_of(index)];
}

static value vector_set(value vector, value index, value element)
{
    struct array *array = vector_array(vector, index);
    STORE(array, &array->slots[number_of(index)], (void *)element);
    return NOTHING;
}

// --- calls ---------------------------------------------------------------------------------------

#define PRIMITIVE(number, name, count, result) number,
enum primitive { PRIMITIVES };
#undef PRIMITIVE

value primitive_call(value primitive, value *a, unsigned count)
{
    enum primitive number = (enum primitive)((uintptr_t)primitive >> 3);
    if (count != parameters[number]) fail("%s: %u arguments", primitive_names[number], count);
#define PRIMITIVE(number, name, count, result)                                                     \
    case number: return result;
    switch (number) {
        PRIMITIVES
    }
#undef PRIMITIVE
    return NOTHING;
}
