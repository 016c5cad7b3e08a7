/* checks.c - tests of templates: what stands behind `is`. */
#include "chat/builtin.h"

static bb_value test_defined(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)r;
    (void)rest;
    return bb_bool(v[0].kind != BB_UNDEFINED);
}

static bb_value test_undefined(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)r;
    (void)rest;
    return bb_bool(v[0].kind == BB_UNDEFINED);
}

#define KIND_TEST(name, condition)                                                  \
    static bb_value name(bb_render *r, bb_value *v, const bb_arguments *rest)       \
    {                                                                               \
        (void)r;                                                                    \
        (void)rest;                                                                 \
        return bb_bool(condition);                                                  \
    }
KIND_TEST(test_none, v[0].kind == BB_NONE)
KIND_TEST(test_boolean, v[0].kind == BB_BOOL)
KIND_TEST(test_true, v[0].kind == BB_BOOL && v[0].is.is_true)
KIND_TEST(test_false, v[0].kind == BB_BOOL && !v[0].is.is_true)
KIND_TEST(test_integer, v[0].kind == BB_INT || v[0].kind == BB_BIG)
KIND_TEST(test_float, v[0].kind == BB_FLOAT)
KIND_TEST(test_number, bb_is_number(v[0]) || v[0].kind == BB_BIG)
KIND_TEST(test_string, v[0].kind == BB_TEXT)
KIND_TEST(test_mapping, v[0].kind == BB_DICT)
KIND_TEST(test_iterable, v[0].kind == BB_UNDEFINED || v[0].kind == BB_TEXT ||
                         v[0].kind == BB_DICT || v[0].kind == BB_LOOP || bb_is_sequence(v[0]))
/* What has a length and elements; Python finds both in Jinja's Undefined. */
KIND_TEST(test_sequence, v[0].kind == BB_UNDEFINED || v[0].kind == BB_TEXT ||
                         v[0].kind == BB_DICT || v[0].kind == BB_LIST || v[0].kind == BB_TUPLE ||
                         v[0].kind == BB_RANGE)

static bb_value divides(bb_render *r, bb_value x, int64_t by, int64_t rest)
{
    bb_work *w = bb_render_work(r);

    return bb_bool(bb_equal(w, bb_binary(w, '%', x, bb_int(by)), bb_int(rest)));
}

static bb_value test_odd(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return divides(r, v[0], 2, 1);
}

static bb_value test_even(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return divides(r, v[0], 2, 0);
}

static bb_value test_divisibleby(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return divides(r, v[0], bb_want_integer(bb_render_work(r), v[1], 0), 0);
}

static bb_value test_case(bb_render *r, bb_value x, const char *method)
{
    const bb_passage name = { .s = method, .n = strlen(method) };

    return bb_builtin_call(r, bb_builtin_find(bb_methods_of_texts, &name),
                           bb_text(bb_string(bb_render_work(r), x)), &(bb_arguments){ 0 });
}

static bb_value test_lower(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return test_case(r, v[0], "islower");
}

static bb_value test_upper(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return test_case(r, v[0], "isupper");
}

static bb_value test_eq(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return bb_bool(bb_equal(bb_render_work(r), v[0], v[1]));
}

static bb_value test_ne(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return bb_bool(!bb_equal(bb_render_work(r), v[0], v[1]));
}

#define ORDER_TEST(name, op)                                                        \
    static bb_value name(bb_render *r, bb_value *v, const bb_arguments *rest)       \
    {                                                                               \
        (void)rest;                                                                 \
        return bb_bool(bb_compare(bb_render_work(r), v[0], v[1], #op) op 0);        \
    }
ORDER_TEST(test_lt, <)
ORDER_TEST(test_le, <=)
ORDER_TEST(test_gt, >)
ORDER_TEST(test_ge, >=)

static bb_value test_in(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return bb_bool(bb_contains(bb_render_work(r), v[0], v[1]));
}

/* Jinja's "sameas" asks whether two values are one object. None, booleans and integers, which have
   no identity here, are one if they are equal; other values, if they lie in the same memory. */
static bb_value test_sameas(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    if (v[0].kind != v[1].kind) return bb_bool(false);
    if (v[0].kind == BB_NONE || v[0].kind == BB_BOOL || v[0].kind == BB_INT)
        return bb_bool(bb_equal(bb_render_work(r), v[0], v[1]));
    return bb_bool(v[0].kind >= BB_TEXT && v[0].is.list == v[1].is.list);
}

const bb_builtin bb_value_tests[] = {
    { "defined", test_defined, "value" },
    { "undefined", test_undefined, "value" },
    { "none", test_none, "value" },
    { "boolean", test_boolean, "value" },
    { "true", test_true, "value" },
    { "false", test_false, "value" },
    { "integer", test_integer, "value" },
    { "float", test_float, "value" },
    { "number", test_number, "value" },
    { "string", test_string, "value" },
    { "mapping", test_mapping, "value" },
    { "iterable", test_iterable, "value" },
    { "sequence", test_sequence, "value" },
    { "odd", test_odd, "value" },
    { "even", test_even, "value" },
    { "divisibleby", test_divisibleby, "value num" },
    { "lower", test_lower, "value" },
    { "upper", test_upper, "value" },
    { "eq", test_eq, "a b" },
    { "equalto", test_eq, "a b" },
    { "==", test_eq, "a b" },
    { "ne", test_ne, "a b" },
    { "!=", test_ne, "a b" },
    { "lt", test_lt, "a b" },
    { "lessthan", test_lt, "a b" },
    { "<", test_lt, "a b" },
    { "le", test_le, "a b" },
    { "<=", test_le, "a b" },
    { "gt", test_gt, "a b" },
    { "greaterthan", test_gt, "a b" },
    { ">", test_gt, "a b" },
    { "ge", test_ge, "a b" },
    { ">=", test_ge, "a b" },
    { "in", test_in, "value seq" },
    { "sameas", test_sameas, "value other" },
    { NULL, NULL, NULL }
};
