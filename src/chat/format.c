/* format.c - Python's two ways to fill in a text: "%s" % x and "{}".format(x). */
#include "chat/format.h"

#include "chat/numerals.h"
#include "chat/show.h"

#include <math.h>

enum { WIDTH_MOST = 100000, PRECISION_MOST = 60 };

static const bb_format_spec PLAIN = { .fill = ' ', .width = -1, .precision = -1 };

/* Whether a character, which may be NUL, is one of a set. */
static bool is_one(char c, const char *set)
{
    return c && strchr(set, c);
}

/* A number in decimal at *at of text [n], or -1. */
static int64_t read_number(bb_work *w, const char *s, size_t n, size_t *at, int64_t most)
{
    int64_t v = -1;

    for (; *at < n && s[*at] >= '0' && s[*at] <= '9'; ++*at) {
        v = (v < 0 ? 0 : v) * 10 + (s[*at] - '0');
        if (v > most) {
            bb_format_bad(w, "a width or precision is too large");
            return -1;
        }
    }
    return v;
}

/* -------------------------------------------------------------- "%s" % x ----------------- */

typedef struct source {
    bb_value values;
    size_t   next;                        /* of a tuple; of a single value: 1 when it is used */
    bool     by_name;
} source;

static bb_value next_value(bb_work *w, source *from)
{
    const bool   tuple = from->values.kind == BB_TUPLE;
    const size_t n = tuple ? from->values.is.list->n : 1;

    if (from->next >= n) {
        bb_format_bad(w, "not enough arguments");
        return BB_VALUE(BB_UNDEFINED);
    }
    from->next++;
    return tuple ? from->values.is.list->item[from->next - 1] : from->values;
}

/* The value that "(name)" at *at names. */
static bb_value named_value(bb_work *w, const bb_passage *p, size_t *at, source *from)
{
    const char  *end = memchr(p->s + *at, ')', p->n - *at);
    const size_t begin = *at + 1;

    if (!end || from->values.kind != BB_DICT) {
        bb_format_bad(w, end ? "expected a dictionary" : "a name without end");
        return BB_VALUE(BB_UNDEFINED);
    }
    *at = (size_t)(end - p->s) + 1;
    from->by_name = true;
    const bb_value *v = bb_dict_find(w, from->values.is.dict,
                                     bb_text(bb_passage_slice(w, p, begin, *at - 1)));
    if (!v) bb_format_bad(w, "a name that the dictionary lacks");
    return v ? *v : BB_VALUE(BB_UNDEFINED);
}

/* Read flags, width and precision; *at ends at the letter. */
static bb_format_spec read_percent_spec(bb_work *w, const bb_passage *p, size_t *at, source *from)
{
    bb_format_spec s = PLAIN;
    bool zero = false;

    for (; *at < p->n && is_one(p->s[*at], "-+ #0"); ++*at) {
        const char c = p->s[*at];
        if (c == '-') s.align = '<';
        else if (c == '0') zero = true;
        else if (c == '#') s.alternate = true;
        else if (s.sign != '+') s.sign = c;
    }
    if (*at < p->n && p->s[*at] == '*') {
        ++*at;
        s.width = bb_want_integer(w, next_value(w, from), 0);
        if (s.width < 0) s.align = '<', s.width = -s.width;
        if (s.width > WIDTH_MOST) bb_format_bad(w, "a width is too large");
    } else s.width = read_number(w, p->s, p->n, at, WIDTH_MOST);
    if (*at < p->n && p->s[*at] == '.') {
        ++*at;
        if (*at < p->n && p->s[*at] == '*') {
            ++*at;
            s.precision = bb_want_integer(w, next_value(w, from), 0);
            if (s.precision > PRECISION_MOST) bb_format_bad(w, "a precision is too large");
        } else s.precision = read_number(w, p->s, p->n, at, PRECISION_MOST);
        if (s.precision < 0) s.precision = 0;
    }
    while (*at < p->n && is_one(p->s[*at], "hlL")) ++*at;
    s.type = *at < p->n ? p->s[*at] : 0;
    if (zero && !s.align && !strchr("srac", s.type)) {
        s.fill = '0';
        s.align = '=';
    }
    return s;
}

static void put_percent(bb_builder *b, bb_format_spec s, bb_value v)
{
    bb_work *w = b->w;

    if (!s.align) s.align = '>';
    switch (s.type) {
    case 's': bb_put_formatted_text(b, &s, bb_string(w, v)); break;
    case 'r': {
        bb_builder repr = bb_builder_begin(w);
        bb_put_repr(&repr, v);
        bb_put_formatted_text(b, &s, bb_builder_text(&repr));
        break;
    }
    case 'd': case 'i': case 'u':
        if (v.kind == BB_FLOAT && isfinite(v.is.number)) v = bb_integer_of_float(w, v.is.number);
        s.type = 'd';
        bb_put_formatted(b, &s, v);
        break;
    case 'c':
        if (v.kind == BB_TEXT && v.is.text->n_chars == 1) bb_put_formatted_text(b, &s, v.is.text);
        else bb_put_formatted(b, &s, v);
        break;
    case 'a':
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "format: '%%a' is not supported");
        break;
    case 'x': case 'X': case 'o':
    case 'e': case 'E': case 'f': case 'F': case 'g': case 'G':
        bb_put_formatted(b, &s, v);
        break;
    default:
        bb_work_fail(w, BAMBA_ERR_FORMAT, "format: '%%' before an unknown letter");
    }
}

bb_value bb_percent(bb_work *w, const bb_passage *p, bb_value values)
{
    bb_builder b = bb_builder_begin(w);
    source     from = { .values = values };
    size_t     done = 0;

    if (p->is_markup) bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "'%%' of safe text is not supported");
    for (size_t at = 0; at < p->n && w->status == BAMBA_OK;) {
        const char *sign = memchr(p->s + at, '%', p->n - at);
        if (!sign) break;
        at = (size_t)(sign - p->s) + 1;
        bb_put_part(&b, p, done, at - 1);
        bb_value v = BB_VALUE(BB_MISSING);
        if (at < p->n && p->s[at] == '(') v = named_value(w, p, &at, &from);
        const bb_format_spec s = read_percent_spec(w, p, &at, &from);
        if (s.type == '%') bb_put_text(&b, "%");
        else {
            if (v.kind == BB_MISSING && s.type) v = next_value(w, &from);
            if (w->status == BAMBA_OK) put_percent(&b, s, v);
        }
        done = at += s.type != 0;
    }
    bb_put_part(&b, p, done, p->n);
    /* What has members need not be used. */
    const bool all = values.kind == BB_TUPLE ? from.next >= values.is.list->n
                                             : from.next > 0 || values.kind == BB_DICT ||
                                                   values.kind == BB_LIST ||
                                                   values.kind == BB_RANGE;
    if (w->status == BAMBA_OK && !all) bb_format_bad(w, "more arguments than places");
    return bb_text(bb_builder_text(&b));
}

/* -------------------------------------------------------------- "{}".format(x) ----------- */

/* A whole specification, for a value. */
static bb_format_spec read_spec(bb_work *w, const bb_passage *p, bb_value v)
{
    const size_t   end = p->n;
    const bool     number = bb_is_number(v) || v.kind == BB_BIG;
    bb_format_spec s = PLAIN;
    size_t         at = 0, length = 0;
    bool           filled = false;

    if (at < end) s.fill = bb_passage_char(p, at, &length);
    if (at + length < end && length && is_one(p->s[at + length], "<>^=")) {
        s.align = p->s[at + length];
        at += length + 1;
        filled = true;
    } else {
        s.fill = ' ';
        if (at < end && is_one(p->s[at], "<>^=")) s.align = p->s[at++];
    }
    if (at < end && is_one(p->s[at], "+- ")) s.sign = p->s[at++];
    if (at < end && p->s[at] == 'z')
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "format: 'z' is not supported");
    if (at < end && p->s[at] == '#') s.alternate = true, at++;
    if (at < end && p->s[at] == '0' && !filled) {
        s.fill = '0';
        if (!s.align && number) s.align = '=';
        at++;
    }
    s.width = read_number(w, p->s, end, &at, WIDTH_MOST);
    if (at < end && (p->s[at] == ',' || p->s[at] == '_')) s.group = p->s[at++];
    if (at < end && p->s[at] == '.') {
        at++;
        s.precision = read_number(w, p->s, end, &at, PRECISION_MOST);
        if (s.precision < 0) bb_format_bad(w, "a precision is missing");
    }
    if (at < end) s.type = p->s[at++];
    if (at < end || (s.type && !strchr("sdxXobneEfFgG%c", s.type)))
        bb_format_bad(w, "a specification that is not understood");
    return s;
}

/* Whether a specification says nothing that its value cannot have; fails if not. */
static bool check_spec(bb_work *w, bb_format_spec *s, bb_value v)
{
    const bool text = v.kind == BB_TEXT, letter = s->type == 'c';
    const bool integer = !s->type || strchr("dxXobnc", s->type);

    if (text && (s->sign || s->alternate || s->align == '='))
        return bb_format_bad(w, "a text takes no sign, '#' or '='");
    if (letter && (s->sign || s->alternate))
        return bb_format_bad(w, "a character takes no sign and no '#'");
    if (s->group && (text || letter || s->type == 'n' ||
                     (s->group == ',' && is_one(s->type, "xXob"))))
        return bb_format_bad(w, "separators do not fit");
    if ((bb_is_integer(v) || v.kind == BB_BIG) && integer && s->precision >= 0)
        return bb_format_bad(w, "an integer takes no precision");
    if (s->sign == '-') s->sign = 0;
    return w->status == BAMBA_OK;
}

/* Arguments, and how fields name them: "{}" by their order or "{0}" by number, not both. */
typedef struct fields {
    const bb_arguments *a;
    size_t              next;
    bool                numbered;
} fields;

/* The argument that a field [at, end) begins with; *at moves past its name. */
static bb_value first_value(bb_work *w, const bb_passage *p, size_t *at, size_t end, fields *f)
{
    const size_t begin = *at;
    int64_t      index = read_number(w, p->s, end, at, WIDTH_MOST);

    while (*at < end && p->s[*at] != '.' && p->s[*at] != '[') ++*at, index = -1;
    if (begin == end || (index >= 0 && *at == end)) {
        if (begin == end ? f->numbered : f->next > 0)
            bb_format_bad(w, "fields with and without a number");
        f->numbered = begin < end;
        if (begin == end) index = (int64_t)f->next++;
    }
    if (index >= 0 && (size_t)index < f->a->n) return f->a->value[index];
    for (size_t i = 0; i < f->a->n_named && index < 0; i++) {
        const bb_passage *name = f->a->named[i].key.is.text;
        if (name->n == *at - begin && memcmp(name->s, p->s + begin, name->n) == 0)
            return f->a->named[i].value;
    }
    bb_format_bad(w, "an argument is missing");
    return BB_VALUE(BB_UNDEFINED);
}

/* A field's value: name, then .attribute and [item] any number of times. */
static bb_value field_value(bb_work *w, const bb_passage *p, size_t at, size_t end, fields *f)
{
    bb_value v = first_value(w, p, &at, end, f);

    while (at < end && w->status == BAMBA_OK) {
        const bool   item = p->s[at] == '[';
        const size_t begin = at + 1;
        if (!item && p->s[at] != '.') bb_format_bad(w, "expected '.' or '[' behind ']'");
        for (at++; at < end && (item ? p->s[at] != ']' : p->s[at] != '.' && p->s[at] != '[');) at++;
        if (at == begin || (item && at == end)) bb_format_bad(w, "a name without end, or empty");
        if (w->status != BAMBA_OK) break;
        const bb_passage *name = bb_passage_slice(w, p, begin, at);
        size_t            digits = 0;
        const int64_t     index = read_number(w, name->s, name->n, &digits, WIDTH_MOST);
        if (!item) v = bb_attribute(w, v, name);
        else v = bb_item(w, v, digits == name->n && index >= 0 ? bb_int(index) : bb_text(name));
        at += item;
    }
    return v;
}

static bb_value convert(bb_work *w, bb_value v, char conversion)
{
    if (conversion == 'r') {
        bb_builder repr = bb_builder_begin(w);
        bb_put_repr(&repr, v);
        return bb_text(bb_builder_text(&repr));
    }
    if (conversion == 's') return bb_text(bb_string(w, v));
    if (conversion == 'a') bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "format: '!a' is not supported");
    else if (conversion) bb_format_bad(w, "a conversion that is not understood");
    return v;
}

/* Offsets of a field's parts. */
typedef struct field {
    size_t name, name_end;
    char   conversion;                    /* 0: none */
    size_t spec, end;                     /* the closing brace */
} field;

/* Find the parts of the field from `at` on in p [n]. A brace in [] belongs to the name, and a
   specification may have fields of its own. */
static bool find_field(bb_work *w, const bb_passage *p, size_t at, size_t n, field *out)
{
    int open = 1;

    *out = (field){ .name = at };
    for (; at < n && !is_one(p->s[at], "{}:!"); at++)
        if (p->s[at] == '[')
            while (at + 1 < n && p->s[at + 1] != ']') at++;
    out->name_end = at;
    if (at < n && p->s[at] == '!') {
        if (at + 2 < n) out->conversion = p->s[at + 1];
        at += 2;
    }
    out->spec = at < n && p->s[at] == ':' ? ++at : at;
    if (at >= n || (p->s[out->spec - 1] != ':' && p->s[at] != '}'))
        return bb_format_bad(w, "a field that is not understood");
    for (; at < n; at++) {
        open += (p->s[at] == '{') - (p->s[at] == '}');
        if (open == 0) break;
    }
    out->end = at;
    return open == 0 || bb_format_bad(w, "a field without end");
}

static void put_fields(bb_builder *b, const bb_passage *p, size_t at, size_t n, fields *f,
                       int depth);

static void put_field(bb_builder *b, const bb_passage *p, const field *at, fields *f, int depth)
{
    bb_work   *w = b->w;
    bb_builder spec = bb_builder_begin(w);
    bb_value   v = field_value(w, p, at->name, at->name_end, f);

    if (w->status == BAMBA_OK) v = convert(w, v, at->conversion);
    if (depth == 0) bb_format_bad(w, "fields nested too deeply");
    else put_fields(&spec, p, at->spec, at->end, f, depth - 1);
    if (w->status != BAMBA_OK) return;
    const bb_passage *text = bb_builder_text(&spec);
    if (text->n == 0) {
        bb_put_string(b, v);
        return;
    }
    bb_format_spec s = read_spec(w, text, v);
    if (check_spec(w, &s, v)) bb_put_formatted(b, &s, v);
}

/* Put p [at, n) with its fields filled in. */
static void put_fields(bb_builder *b, const bb_passage *p, size_t at, size_t n, fields *f,
                       int depth)
{
    bb_work *w = b->w;
    size_t   done = at;
    field    found;

    for (; at < n && bb_step(w, 1); at++) {
        const char c = p->s[at];
        if (c != '{' && c != '}') continue;
        bb_put_part(b, p, done, at);
        if (at + 1 < n && p->s[at + 1] == c) {
            done = ++at;
            continue;
        }
        if (c == '}') bb_format_bad(w, "a brace that stands alone");
        if (w->status != BAMBA_OK || !find_field(w, p, at + 1, n, &found)) return;
        put_field(b, p, &found, f, depth);
        at = found.end;
        done = at + 1;
    }
    bb_put_part(b, p, done, n);
}

bb_value bb_format(bb_work *w, const bb_passage *p, const bb_arguments *arguments)
{
    bb_builder b = bb_builder_begin(w);
    fields     f = { .a = arguments };

    if (p->is_markup)
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "format of safe text is not supported");
    if (w->status == BAMBA_OK) put_fields(&b, p, 0, p->n, &f, 2);
    return bb_text(bb_builder_text(&b));
}
