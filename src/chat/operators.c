/* operators.c - what + - * / // % ** and `in` do; slices. */
#include "chat/builtin.h"
#include "chat/lexer.h"
#include "chat/numerals.h"
#include "chat/show.h"

#include <math.h>

/* -------------------------------------------------------------- numbers ------------------ */

static bb_value too_large(bb_work *w)
{
    bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "an integer beyond 64 bits is not supported here");
    return BB_VALUE(BB_UNDEFINED);
}

static bb_value divide_by_zero(bb_work *w)
{
    bb_work_fail(w, BAMBA_ERR_FORMAT, "division by zero");
    return BB_VALUE(BB_UNDEFINED);
}

static bool add_fits(int64_t a, int64_t b)
{
    return b >= 0 ? a <= INT64_MAX - b : a >= INT64_MIN - b;
}

static bool multiply(int64_t a, int64_t b, int64_t *out)
{
    const uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
    const uint64_t y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    const bool     negative = (a < 0) != (b < 0);

    if (y && x > (uint64_t)INT64_MAX / y) return false;      /* -2^63 too, which nobody needs */
    *out = negative ? -(int64_t)(x * y) : (int64_t)(x * y);
    return true;
}

static bb_value power(bb_work *w, int64_t a, int64_t b)
{
    int64_t v = 1;

    if (b < 0) return a == 0 ? divide_by_zero(w) : bb_float(pow((double)a, (double)b));
    if (a == 1 || a == 0 || a == -1) return bb_int(b == 0 ? 1 : a == -1 && b % 2 == 0 ? 1 : a);
    for (; b > 0; b--)
        if (!multiply(v, a, &v)) return too_large(w);
    return bb_int(v);
}

static bb_value integers(bb_work *w, int op, int64_t a, int64_t b)
{
    int64_t v = 0;

    switch (op) {
    case '+': return add_fits(a, b) ? bb_int(a + b) : too_large(w);
    case '-':
        if (b == INT64_MIN) return too_large(w);
        return add_fits(a, -b) ? bb_int(a - b) : too_large(w);
    case '*': return multiply(a, b, &v) ? bb_int(v) : too_large(w);
    case BB_OP_POWER: return power(w, a, b);
    default: break;
    }
    if (b == 0) return divide_by_zero(w);
    if (op == '/') return bb_float((double)a / (double)b);
    if (b == -1) return op == '%' ? bb_int(0) : integers(w, '-', 0, a);
    /* Python rounds down, C towards zero. */
    const int64_t rest = a % b;
    const bool    down = rest != 0 && (rest < 0) != (b < 0);
    return bb_int(op == '%' ? rest + (down ? b : 0) : a / b - down);
}

static bb_value fractions(bb_work *w, int op, double a, double b)
{
    switch (op) {
    case '+': return bb_float(a + b);
    case '-': return bb_float(a - b);
    case '*': return bb_float(a * b);
    case BB_OP_POWER: return bb_float(pow(a, b));
    default: break;
    }
    if (b == 0) return divide_by_zero(w);
    if (op == '/') return bb_float(a / b);
    double rest = fmod(a, b);
    if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
    if (op == '%') return bb_float(rest != 0 ? rest : copysign(0.0, b));
    const double quotient = (a - rest) / b;
    double       whole = floor(quotient);
    if (quotient - whole > 0.5) whole += 1;
    return bb_float(quotient != 0 ? whole : copysign(0.0, a / b));
}

/* Of a fraction and an integer beyond 64 bits, which becomes a fraction too. */
static bb_value with_big(bb_work *w, int op, bb_value a, bb_value b)
{
    double x = 0;

    if (bb_parse_float(w, a.kind == BB_BIG ? a.is.text : b.is.text, &x) && isinf(x)) {
        bb_work_fail(w, BAMBA_ERR_FORMAT, "an integer that is too large for a fraction");
        return BB_VALUE(BB_UNDEFINED);
    }
    return a.kind == BB_BIG ? fractions(w, op, x, b.is.number) : fractions(w, op, a.is.number, x);
}

/* -------------------------------------------------------------- texts, lists ------------- */

/* One text behind another; where one is Markup, the other gets escaped. */
static bb_value add_texts(bb_work *w, const bb_passage *a, const bb_passage *b)
{
    bb_builder out = bb_builder_begin(w);

    out.is_markup = a->is_markup || b->is_markup;
    bb_put(&out, out.is_markup ? bb_escape_markup(w, a) : a);
    bb_put(&out, out.is_markup ? bb_escape_markup(w, b) : b);
    return bb_text(bb_builder_text(&out));
}

static void push_all(bb_work *w, bb_value list, const bb_list *l)
{
    for (size_t i = 0; i < l->n && w->status == BAMBA_OK; i++) bb_list_push(w, list, l->item[i]);
}

static bb_value repeat(bb_work *w, bb_value v, int64_t times)
{
    if (v.kind == BB_TEXT) {
        bb_builder out = bb_builder_begin(w);
        out.is_markup = v.is.text->is_markup;
        for (; times > 0 && v.is.text->n && w->status == BAMBA_OK; times--) bb_put(&out, v.is.text);
        return bb_text(bb_builder_text(&out));
    }
    const bb_value list = bb_list_new(w, v.kind);
    for (; times > 0 && v.is.list->n && w->status == BAMBA_OK; times--)
        push_all(w, list, v.is.list);
    return list;
}

static bool can_repeat(bb_value v)
{
    return v.kind == BB_TEXT || v.kind == BB_LIST || v.kind == BB_TUPLE;
}

static bb_value no_operator(bb_work *w, int op, bb_value a, bb_value b)
{
    const char name[] = { (char)op, '\0' };

    bb_work_fail(w, BAMBA_ERR_FORMAT, "unsupported operand types for %s: '%s' and '%s'",
                 op == BB_OP_POWER ? "**" : op == BB_OP_FLOOR ? "//" : name, bb_kind_name(a),
                 bb_kind_name(b));
    return BB_VALUE(BB_UNDEFINED);
}

bb_value bb_binary(bb_work *w, int op, bb_value a, bb_value b)
{
    if (a.kind == BB_TEXT && op == '%') return bb_percent(w, a.is.text, b);
    if (a.kind == BB_UNDEFINED) return bb_fail_undefined(w, a);
    if (b.kind == BB_UNDEFINED) return bb_fail_undefined(w, b);
    if (bb_is_integer(a) && bb_is_integer(b)) return integers(w, op, bb_integer(a), bb_integer(b));
    if (bb_is_number(a) && bb_is_number(b)) return fractions(w, op, bb_number(a), bb_number(b));
    if (op == '*' && can_repeat(a) && bb_is_integer(b)) return repeat(w, a, bb_integer(b));
    if (op == '*' && can_repeat(b) && bb_is_integer(a)) return repeat(w, b, bb_integer(a));
    if ((a.kind == BB_BIG && b.kind == BB_FLOAT) || (a.kind == BB_FLOAT && b.kind == BB_BIG))
        return with_big(w, op, a, b);
    if (a.kind == BB_BIG || b.kind == BB_BIG) return too_large(w);
    if (op != '+') return no_operator(w, op, a, b);
    if (a.kind == BB_TEXT && b.kind == BB_TEXT) return add_texts(w, a.is.text, b.is.text);
    if (a.kind != b.kind || (a.kind != BB_LIST && a.kind != BB_TUPLE))
        return no_operator(w, op, a, b);
    const bb_value list = bb_list_new(w, a.kind);
    push_all(w, list, a.is.list);
    push_all(w, list, b.is.list);
    return list;
}

bool bb_contains(bb_work *w, bb_value x, bb_value where)
{
    if (where.kind == BB_TEXT) {
        if (x.kind == BB_UNDEFINED) bb_fail_undefined(w, x);
        else if (x.kind != BB_TEXT)
            bb_work_fail(w, BAMBA_ERR_FORMAT, "'in' a text: expected a text, found '%s'",
                         bb_kind_name(x));
        return w->status == BAMBA_OK &&
               bb_passage_find(w, where.is.text, x.is.text, 0, where.is.text->n) != SIZE_MAX;
    }
    if (where.kind == BB_DICT) return bb_dict_find(w, where.is.dict, x) != NULL;
    const bb_value items = bb_items(w, where);
    for (size_t i = 0; w->status == BAMBA_OK && i < items.is.list->n; i++)
        if (bb_equal(w, items.is.list->item[i], x)) return true;
    return false;
}

/* -------------------------------------------------------------- slices ------------------- */

/* Bring a bound into [lo, hi], counting from the end if it is negative. */
static int64_t bound_in(bb_work *w, bb_value v, int64_t n, int64_t lo, int64_t hi, int64_t fallback)
{
    if (v.kind == BB_NONE) return fallback;
    if (!bb_is_integer(v)) {
        if (v.kind == BB_UNDEFINED) bb_fail_undefined(w, v);
        bb_work_fail(w, BAMBA_ERR_FORMAT, "expected an integer as bound of a slice, found '%s'",
                     bb_kind_name(v));
        return fallback;
    }
    int64_t i = bb_integer(v);
    if (i < 0) i += n;
    return i < lo ? lo : i > hi ? hi : i;
}

static bb_value slice_text(bb_work *w, const bb_passage *p, int64_t i, int64_t end, int64_t step)
{
    bb_builder out = bb_builder_begin(w);
    size_t     length;

    if (!bb_step(w, p->n / 16)) return BB_VALUE(BB_UNDEFINED);
    if (step == 1) {
        const size_t begin = bb_passage_offset(p, (size_t)i);
        const size_t stop = i < end ? bb_passage_offset(p, (size_t)end) : begin;
        return bb_text(bb_passage_slice(w, p, begin, stop));
    }
    out.is_markup = p->is_markup;
    if (step == -1 && i > end) {
        for (size_t at = bb_passage_offset(p, (size_t)i + 1); i > end; i--) {
            const size_t stop = at;
            at = bb_passage_before(p, stop);
            bb_put_part(&out, p, at, stop);
        }
        return bb_text(bb_builder_text(&out));
    }
    for (; (step > 0 ? i < end : i > end) && bb_step(w, 1 + p->n / 16); i += step) {
        const size_t at = bb_passage_offset(p, (size_t)i);
        bb_passage_char(p, at, &length);
        bb_put_part(&out, p, at, at + length);
    }
    return bb_text(bb_builder_text(&out));
}

bb_value bb_slice(bb_work *w, bb_value x, const bb_value bound[3])
{
    if (x.kind == BB_UNDEFINED) return bb_fail_undefined(w, x);
    if (x.kind != BB_TEXT && x.kind != BB_LIST && x.kind != BB_TUPLE && x.kind != BB_RANGE) {
        bb_work_fail(w, BAMBA_ERR_FORMAT, "'%s' object cannot be sliced", bb_kind_name(x));
        return BB_VALUE(BB_UNDEFINED);
    }
    const int64_t n = (int64_t)(x.kind == BB_TEXT ? x.is.text->n_chars : x.is.list->n);
    int64_t       step = bound_in(w, bound[2], 0, -INT64_MAX, INT64_MAX, 1);
    if (step == 0) bb_work_fail(w, BAMBA_ERR_FORMAT, "the step of a slice is 0");
    if (w->status != BAMBA_OK) return x;
    if (step > n) step = n + 1;           /* no further than the end */
    if (step < -n) step = -n - 1;
    const bool    up = step > 0;
    int64_t       i = bound_in(w, bound[0], n, up ? 0 : -1, up ? n : n - 1, up ? 0 : n - 1);
    const int64_t end = bound_in(w, bound[1], n, up ? 0 : -1, up ? n : n - 1, up ? n : -1);
    if (w->status != BAMBA_OK) return x;
    if (x.kind == BB_TEXT) return slice_text(w, x.is.text, i, end, step);

    const bb_value list = bb_list_new(w, x.kind);
    if (x.kind == BB_RANGE && w->status == BAMBA_OK) {
        const bb_list *from = x.is.list;
        list.is.list->begin = from->begin + i * from->step;
        list.is.list->end = from->begin + end * from->step;
        list.is.list->step = from->step * step;
    }
    for (; (up ? i < end : i > end) && w->status == BAMBA_OK; i += step)
        bb_list_push(w, list, x.is.list->item[i]);
    return list;
}
