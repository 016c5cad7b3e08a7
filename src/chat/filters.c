/* filters.c - filters that work on texts and on single values. */
#include "chat/builtin.h"
#include "chat/lexer.h"
#include "chat/numerals.h"
#include "chat/show.h"
#include "text/unicode.h"

#include <math.h>

/* A value's method as a filter: Jinja's own filters of these names call it. */
static bb_value call_method(bb_render *r, const char *name, bb_value self, const bb_arguments *a)
{
    const bb_builtin *m = bb_builtin_find(bb_methods_of_texts,
                                          &(bb_passage){ .s = name, .n = strlen(name) });
    return bb_builtin_call(r, m, self, a);
}

static bb_value text_of(bb_render *r, bb_value v)
{
    return bb_text(bb_string(bb_render_work(r), v));
}

/* -------------------------------------------------------------- texts -------------------- */

#define TEXT_FILTER(name, method)                                                   \
    static bb_value name(bb_render *r, bb_value *v, const bb_arguments *rest)       \
    {                                                                               \
        (void)rest;                                                                 \
        return call_method(r, method, text_of(r, v[0]), &(bb_arguments){ 0 });      \
    }
TEXT_FILTER(filter_upper, "upper")
TEXT_FILTER(filter_lower, "lower")
TEXT_FILTER(filter_capitalize, "capitalize")

static bb_value filter_trim(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    const bb_arguments a = { v + 1, v[1].kind != BB_MISSING, NULL, 0 };

    (void)rest;
    return call_method(r, "strip", text_of(r, v[0]), &a);
}

static bb_value filter_center(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_value width = v[1].kind == BB_MISSING ? bb_int(80) : v[1];

    (void)rest;
    return call_method(r, "center", text_of(r, v[0]), &(bb_arguments){ &width, 1, NULL, 0 });
}

static bb_value filter_replace(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);
    bb_value all = v[3].kind == BB_MISSING || v[3].kind == BB_NONE ? bb_int(-1) : v[3];
    bb_value a[3] = { text_of(r, v[1]), text_of(r, v[2]), all };

    (void)rest;
    return call_method(r, "replace", bb_text(bb_passage_markup(w, bb_string(w, v[0]), false)),
                       &(bb_arguments){ a, 3, NULL, 0 });
}

/* Words begin behind these, and have a capital. */
static bb_value filter_title(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_string(w, v[0]);
    bb_builder        b = bb_builder_begin(w);
    size_t            begin = 0, length;

    (void)rest;
    for (size_t at = 0; at < p->n && w->status == BAMBA_OK;) {
        const uint32_t c = bb_passage_char(p, at, &length);
        const bool     parts = bb_is_py_space(c) || (c && c < 0x80 && strchr("-({[<", (int)c));
        bb_value       one = bb_text(bb_passage_slice(w, p, at, at + length));
        if (!parts)
            one = call_method(r, at == begin ? "upper" : "lower", one, &(bb_arguments){ 0 });
        if (w->status == BAMBA_OK) bb_put(&b, one.is.text);
        at += length;
        if (parts) begin = at;
    }
    return bb_text(bb_builder_text(&b));
}

static bb_value filter_indent(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bool        first = v[2].kind != BB_MISSING && bb_truth(v[2]);
    const bool        blank = v[3].kind != BB_MISSING && bb_truth(v[3]);
    const bb_passage *indent;
    bb_builder        b = bb_builder_begin(w);

    (void)rest;
    if (v[1].kind == BB_TEXT) indent = v[1].is.text;
    else indent = bb_want_text(w, bb_binary(w, '*', bb_text_of(w, " "),
                                            v[1].kind == BB_MISSING ? bb_int(4) : v[1]));
    const bb_value whole = bb_binary(w, '+', bb_text(bb_want_text(w, v[0])), bb_text_of(w, "\n"));
    const bb_value lines = call_method(r, "splitlines", whole, &(bb_arguments){ 0 });
    if (w->status != BAMBA_OK) return lines;
    for (size_t i = 0; i < lines.is.list->n; i++) {
        const bb_passage *line = lines.is.list->item[i].is.text;
        if (i) bb_put_text(&b, "\n");
        if (i ? line->n || blank : first) bb_put(&b, indent);
        bb_put(&b, line);
    }
    return bb_text(bb_builder_text(&b));
}

static bb_value filter_format(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value positional = bb_list_new(w, BB_TUPLE), named = bb_dict_new(w);

    for (size_t i = 0; i < rest->n; i++) bb_list_push(w, positional, rest->value[i]);
    for (size_t i = 0; i < rest->n_named && w->status == BAMBA_OK; i++)
        bb_dict_set(w, named.is.dict, rest->named[i].key, rest->named[i].value);
    if (rest->n && rest->n_named)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "format: either positional or named arguments");
    if (w->status != BAMBA_OK) return positional;
    return bb_percent(w, bb_string(w, v[0]), rest->n_named ? named : positional);
}

static bb_value filter_wordcount(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    const bb_passage *p = bb_string(bb_render_work(r), v[0]);
    int64_t           n = 0;
    bool              inside = false;

    (void)rest;
    for (size_t at = 0, length; at < p->n && bb_step(bb_render_work(r), 1); at += length) {
        const bool word = bb_char_is_word(bb_passage_char(p, at, &length));
        n += word && !inside;
        inside = word;
    }
    return bb_int(n);
}

static bb_value filter_string(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return text_of(r, v[0]);
}

static bb_value filter_safe(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);

    (void)rest;
    return bb_text(bb_passage_markup(w, bb_string(w, v[0]), true));
}

static bb_value filter_escape(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);

    (void)rest;
    return bb_text(bb_escape_markup(w, bb_string(w, v[0])));
}

static bb_value filter_tojson(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work      *w = bb_render_work(r);
    bb_builder    b = bb_builder_begin(w);
    bb_json_style style = { .ascii = v[1].kind != BB_MISSING && bb_truth(v[1]),
                            .is_indented = v[2].kind != BB_MISSING && v[2].kind != BB_NONE,
                            .sort_keys = v[4].kind != BB_MISSING && bb_truth(v[4]) };

    (void)rest;
    if (v[2].kind == BB_TEXT) style.indent = v[2].is.text;
    else if (style.is_indented)
        style.indent = bb_want_text(w, bb_binary(w, '*', bb_text_of(w, " "), v[2]));
    if (v[3].kind != BB_MISSING && v[3].kind != BB_NONE) {
        const bb_value two = bb_items(w, v[3]);
        if (w->status == BAMBA_OK && two.is.list->n != 2)
            bb_work_fail(w, BAMBA_ERR_FORMAT, "tojson: expected two separators");
        if (w->status != BAMBA_OK) return v[0];
        style.comma = bb_want_text(w, two.is.list->item[0]);
        style.colon = bb_want_text(w, two.is.list->item[1]);
    }
    bb_put_json(&b, v[0], &style);
    return bb_text(bb_builder_text(&b));
}

const bb_builtin bb_text_filters[] = {
    { "upper", filter_upper, "s" },
    { "lower", filter_lower, "s" },
    { "capitalize", filter_capitalize, "s" },
    { "title", filter_title, "s" },
    { "trim", filter_trim, "value chars?" },
    { "center", filter_center, "value width?" },
    { "replace", filter_replace, "s old new count?" },
    { "indent", filter_indent, "s width? first? blank?" },
    { "format", filter_format, "value *" },
    { "wordcount", filter_wordcount, "s" },
    { "string", filter_string, "s" },
    { "safe", filter_safe, "value" },
    { "escape", filter_escape, "value" },
    { "e", filter_escape, "value" },
    { "tojson", filter_tojson, "x ensure_ascii? indent? separators? sort_keys?" },
    { NULL, NULL, NULL }
};

/* -------------------------------------------------------------- single values ------------ */

static bb_value filter_default(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    const bool boolean = v[2].kind != BB_MISSING && bb_truth(v[2]);

    (void)rest;
    if (v[0].kind != BB_UNDEFINED && (!boolean || bb_truth(v[0]))) return v[0];
    return v[1].kind == BB_MISSING ? bb_text_of(bb_render_work(r), "") : v[1];
}

static bb_value filter_abs(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);

    (void)rest;
    if (v[0].kind == BB_FLOAT) return bb_float(fabs(v[0].is.number));
    if (v[0].kind == BB_BIG && v[0].is.text->s[0] != '-') return v[0];
    if (v[0].kind == BB_BIG)
        return bb_integer_of_digits(w, false, v[0].is.text->s + 1, v[0].is.text->n - 1);
    if (bb_is_integer(v[0]) && bb_integer(v[0]) >= 0) return bb_int(bb_integer(v[0]));
    return bb_binary(w, '-', bb_int(0), v[0]);
}

static bb_value truncate(bb_work *w, double x, bb_value fallback)
{
    return isfinite(x) ? bb_integer_of_float(w, x) : fallback;
}

static bb_value filter_int(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value fallback = v[1].kind == BB_MISSING ? bb_int(0) : v[1];
    const int64_t  base = bb_want_integer(w, v[2], 10);
    bb_value       i;
    double         x;

    (void)rest;
    if (v[0].kind == BB_UNDEFINED) return bb_fail_undefined(w, v[0]);
    if (bb_is_integer(v[0])) return bb_int(bb_integer(v[0]));
    if (v[0].kind == BB_BIG) return v[0];
    if (v[0].kind == BB_FLOAT) return truncate(w, v[0].is.number, fallback);
    if (v[0].kind != BB_TEXT) return fallback;
    if (bb_parse_integer(w, v[0].is.text, base, &i)) return i;
    return bb_parse_float(w, v[0].is.text, &x) ? truncate(w, x, fallback) : fallback;
}

static bb_value filter_float(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);
    double   x;

    (void)rest;
    if (v[0].kind == BB_UNDEFINED) return bb_fail_undefined(w, v[0]);
    if (bb_is_number(v[0])) return bb_float(bb_number(v[0]));
    if ((v[0].kind == BB_TEXT || v[0].kind == BB_BIG) && bb_parse_float(w, v[0].is.text, &x)) {
        if (v[0].kind == BB_BIG && isinf(x))
            bb_work_fail(w, BAMBA_ERR_FORMAT, "float: an integer that is too large");
        return bb_float(x);
    }
    return v[1].kind == BB_MISSING ? bb_float(0) : v[1];
}

/* Up or down to a number of decimals, 22 at most, since powers of ten are exact up to there. */
static bb_value round_one_way(bb_work *w, double x, int64_t decimals, bool up)
{
    const double scale = decimals < -400 ? 0 : pow(10, (double)(decimals < 22 ? decimals : 22));
    const double whole = up ? ceil(x * scale) : floor(x * scale);

    if (decimals > 22) bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "round: more than 22 decimals");
    else if (scale == 0) bb_work_fail(w, BAMBA_ERR_FORMAT, "division by zero");
    else if (!isfinite(whole))
        bb_work_fail(w, BAMBA_ERR_FORMAT, "round: infinity or NaN has no whole part");
    return bb_float((whole + 0.0) / scale);       /* Python's integers have no -0 */
}

static bb_value filter_round(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work      *w = bb_render_work(r);
    const int64_t precision = bb_want_integer(w, v[1], 0);
    const bool    given = v[2].kind != BB_MISSING;
    const bool    up = given && bb_passage_is(bb_want_text(w, v[2]), "ceil");
    const bool    down = given && bb_passage_is(bb_want_text(w, v[2]), "floor");

    (void)rest;
    if (!bb_is_number(v[0]) && v[0].kind != BB_BIG)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "round: expected a number, found '%s'",
                     bb_kind_name(v[0]));
    else if (given && !up && !down && !bb_passage_is(bb_want_text(w, v[2]), "common"))
        bb_work_fail(w, BAMBA_ERR_FORMAT, "round: the method is 'common', 'ceil' or 'floor'");
    if (w->status != BAMBA_OK) return v[0];
    if (!up && !down && v[1].kind == BB_NONE && v[0].kind == BB_FLOAT) {
        if (isfinite(v[0].is.number))     /* Python's round(x, None) gives an integer */
            return bb_integer_of_float(w, bb_round(w, v[0], 0).is.number);
        bb_work_fail(w, BAMBA_ERR_FORMAT, "round: infinity or NaN has no whole part");
        return v[0];
    }
    if (!up && !down) return bb_round(w, v[0], precision);
    if (v[1].kind == BB_NONE)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "round: expected a number of decimals");
    if (v[0].kind == BB_BIG) {
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "round: an integer beyond 64 bits");
        return v[0];
    }
    if (bb_is_integer(v[0]) && precision >= 0) return bb_float(bb_number(v[0]));
    return round_one_way(w, bb_number(v[0]), precision, up);
}

static bb_value filter_attr(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *name = bb_want_text(w, v[1]);

    (void)rest;
    if (w->status != BAMBA_OK) return v[0];
    if (v[0].kind == BB_UNDEFINED) return bb_fail_undefined(w, v[0]);
    /* An attribute alone: the same name as a key does not count. */
    if (v[0].kind == BB_DICT && bb_dict_find(w, v[0].is.dict, v[1])) {
        const bb_value empty = bb_dict_new(w);
        const bb_value found = bb_attribute(w, empty, name);
        return found.kind == BB_METHOD ? bb_attribute(w, v[0], name) : found;
    }
    return bb_attribute(w, v[0], name);
}

const bb_builtin bb_value_filters[] = {
    { "default", filter_default, "value default_value? boolean?" },
    { "d", filter_default, "value default_value? boolean?" },
    { "abs", filter_abs, "x" },
    { "int", filter_int, "value default? base?" },
    { "float", filter_float, "value default?" },
    { "round", filter_round, "value precision? method?" },
    { "attr", filter_attr, "obj name" },
    { NULL, NULL, NULL }
};
