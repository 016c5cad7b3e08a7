/* format.c - Python's two ways to fill in a text: "%s" % x and "{}".format(x). */
#include "base/json.h"
#include "base/json_parse.h"
#include "chat/builtin.h"
#include "chat/show.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH_MOST = 100000, PRECISION_MOST = 60 };

/* How one value is to be written: of both languages. */
typedef struct spec {
    uint32_t fill;
    char     align;                       /* '<' '>' '^' '=' (behind the sign); 0: by the value */
    char     sign;                        /* '+' or ' '; 0: only a minus */
    bool     alternate;                   /* 0x in front */
    char     group;                       /* ',' or '_' between thousands; 0: none */
    int64_t  width, precision;            /* -1: not given */
    char     type;                        /* 0: not given */
} spec;

static const spec PLAIN = { .fill = ' ', .width = -1, .precision = -1 };

/* Whether a character, which may be NUL, is one of a set. */
static bool is_one(char c, const char *set)
{
    return c && strchr(set, c);
}

static bool bad(bb_work *w, const char *what)
{
    return bb_work_fail(w, BAMBA_ERR_FORMAT, "format: %s", what);
}

/* -------------------------------------------------------------- numbers ------------------ */

bool bb_parse_float(bb_work *w, const bb_passage *p, double *out)
{
    static const char *const words[] = { "inf", "infinity", "nan" };
    char             digits[400];
    size_t           n = 0, at = 0, end = p->n, length;
    bb_json_tree     tree;
    bool             negative = false;

    while (at < end && bb_is_py_space(bb_passage_char(p, at, &length))) at += length;
    while (end > at && bb_is_py_space(bb_passage_char(p, bb_passage_before(p, end), &length)))
        end -= length;
    if (at < end && (p->s[at] == '-' || p->s[at] == '+')) negative = p->s[at++] == '-';
    if (at < end && p->s[at] == '.') digits[n++] = '0';       /* which JSON wants */
    while (at + 1 < end && p->s[at] == '0' && p->s[at + 1] >= '0' && p->s[at + 1] <= '9') at++;
    for (; at < end && n + 3 < sizeof digits; at++) {
        const char c = p->s[at];
        const bool bare = c == '.' && (at + 1 == end || (p->s[at + 1] | 32) == 'e');
        digits[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
        if (bare) digits[n++] = '0';
    }
    digits[n] = '\0';
    for (int i = 0; i < 3; i++)
        if (strcmp(digits, words[i]) == 0) {
            *out = i == 2 ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
            return true;
        }
    if (at < end || n == 0 || digits[0] < '0' || digits[0] > '9') return false;
    bamba_error err;
    if (bb_json_build(&tree, w->a, "number", digits, n, BB_JSON_HUGE, &err) != BAMBA_OK)
        return err.code == BAMBA_ERR_MEMORY && bb_work_fail(w, err.code, "out of memory");
    *out = tree.node->kind == BB_JSON_INT ? (double)tree.node->is.integer : tree.node->is.number;
    bb_json_drop(&tree, w->a);
    if (negative) *out = -*out;
    return true;
}

/* Write digits of |x| into text [n], with a point whatever the locale has. */
static void print_float(char *text, size_t n, char type, int precision, bool alternate, double x)
{
    char format[] = "%#.*g", raw[400];
    size_t out = 0;

    if (!alternate) memmove(format + 1, format + 2, sizeof format - 2);
    format[strlen(format) - 1] = type;
    snprintf(raw, sizeof raw, format, precision, fabs(x));
    for (const char *c = raw; *c && out + 1 < n; c++) {
        const unsigned char lower = (unsigned char)*c | 32;
        const bool letter = lower >= 'a' && lower <= 'z';
        const bool plain = letter || (*c >= '0' && *c <= '9') || *c == '+' || *c == '-';
        if (plain) text[out++] = *c;
        else if (out && text[out - 1] != '.') text[out++] = '.';
    }
    text[out] = '\0';
}

bb_value bb_round(bb_work *w, double x, int decimals)
{
    char   text[400];
    double rounded = x;

    if (!isfinite(x) || fabs(x) >= 1e22) return bb_float(x);
    print_float(text, sizeof text, 'f', decimals, false, x);
    bb_parse_float(w, &(bb_passage){ .s = text, .n = strlen(text) }, &rounded);
    return bb_float(copysign(rounded, x));
}

/* The digits of an integer's size in a base. */
static void print_integer(char *text, bb_value v, int base, bool upper)
{
    const int64_t i = bb_integer(v);
    uint64_t      left = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    char          reversed[70];
    int           n = 0;

    do {
        const int digit = (int)(left % (uint64_t)base);
        reversed[n++] = (char)(digit < 10 ? '0' + digit : (upper ? 'A' : 'a') + digit - 10);
        left /= (uint64_t)base;
    } while (left);
    while (n > 0) *text++ = reversed[--n];
    *text = '\0';
}

/* Put separators between each three digits before the point. */
static void group_digits(char *text, char group)
{
    const size_t whole = strspn(text, "0123456789");
    char         out[500];
    size_t       n = 0;

    if (!group || strlen(text) > 300) return;
    for (size_t i = 0; text[i]; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0) out[n++] = group;
        out[n++] = text[i];
    }
    memcpy(text, out, n);
    text[n] = '\0';
}

/* -------------------------------------------------------------- padding ------------------ */

static void put_fill(bb_builder *b, uint32_t fill, int64_t n)
{
    for (; n > 0 && b->w->status == BAMBA_OK; n--) bb_put_char(b, fill, false);
}

/* Put sign and body, padded to the width. */
static void put_padded(bb_builder *b, const spec *s, const char *sign, const bb_passage *body,
                       char align)
{
    const int64_t n = s->width - (int64_t)body->n_chars - (int64_t)strlen(sign);

    if (s->align) align = s->align;
    if (align == '=') bb_put_text(b, sign);
    put_fill(b, s->fill, n <= 0 || align == '<' ? 0 : align == '^' ? n / 2 : n);
    if (align != '=') bb_put_text(b, sign);
    bb_put(b, body);
    put_fill(b, s->fill, n <= 0 ? 0 : align == '<' ? n : align == '^' ? n - n / 2 : 0);
}

static void put_text_value(bb_builder *b, const spec *s, const bb_passage *p)
{
    const bool   cut = s->precision >= 0 && (size_t)s->precision < p->n_chars;
    const size_t most = cut ? (size_t)s->precision : p->n_chars;
    put_padded(b, s, "", bb_passage_slice(b->w, p, 0, bb_passage_offset(p, most)), '<');
}

static void put_number_value(bb_builder *b, const spec *s, bool negative, const char *prefix,
                             const char *digits)
{
    char sign[8];

    snprintf(sign, sizeof sign, "%s%s", negative ? "-" : s->sign == '+' ? "+" : s->sign ? " " : "",
             prefix);
    put_padded(b, s, sign, bb_passage_of(b->w, digits, strlen(digits)), '>');
}

static void put_integer(bb_builder *b, const spec *s, bb_value v)
{
    const char type = s->type ? s->type : 'd';
    const int  base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    char      *digits = bb_work_take(b->w, 512, 1);

    if (!digits) return;
    print_integer(digits, v, base, type == 'X');
    group_digits(digits, s->group);
    put_number_value(b, s, bb_integer(v) < 0,
                     !s->alternate || base == 10 ? "" : base == 8 ? "0o" : base == 2 ? "0b"
                     : type == 'X' ? "0X" : "0x", digits);
}

static void put_fraction(bb_builder *b, const spec *s, double x)
{
    char  type = s->type ? s->type : 'g';
    char *digits = bb_work_take(b->w, 512, 1);

    if (!digits) return;
    if (type == '%') x *= 100;
    if (!s->type && s->precision >= 0)
        bad(b->w, "a precision without a letter is not supported");
    if (!s->type && isfinite(x)) {
        bb_builder repr = bb_builder_begin(b->w);
        bb_put_float(&repr, fabs(x));
        const bb_passage *p = bb_builder_text(&repr);
        memcpy(digits, p->s, p->n);
        digits[p->n] = '\0';
    } else {
        print_float(digits, 500, type == '%' ? 'f' : type, s->precision < 0 ? 6 : (int)s->precision,
                    s->alternate, x);
    }
    group_digits(digits, s->group);
    if (type == '%') memcpy(digits + strlen(digits), "%", 2);
    put_number_value(b, s, signbit(x) && !isnan(x), "", digits);
}

static void put_value(bb_builder *b, const spec *s, bb_value v)
{
    const bool integer = !s->type || strchr("dxXobn", s->type);
    const bool fraction = !s->type || strchr("eEfFgG%", s->type);

    if (v.kind == BB_TEXT && (!s->type || s->type == 's')) put_text_value(b, s, v.is.text);
    else if (bb_is_integer(v) && integer) put_integer(b, s, v);
    else if (bb_is_integer(v) && s->type == 'c' && bb_integer(v) >= 0 && bb_integer(v) < 0xD800)
        bb_put_char(b, (uint32_t)bb_integer(v), false);
    else if (bb_is_number(v) && fraction) put_fraction(b, s, bb_number(v));
    else bb_work_fail(b->w, BAMBA_ERR_FORMAT, "format: '%c' does not fit a value of type '%s'",
                      s->type ? s->type : '?', bb_kind_name(v));
}

/* A number in decimal at *at of text [n], or -1. */
static int64_t read_number(bb_work *w, const char *s, size_t n, size_t *at, int64_t most)
{
    int64_t v = -1;

    for (; *at < n && s[*at] >= '0' && s[*at] <= '9'; ++*at) {
        v = (v < 0 ? 0 : v) * 10 + (s[*at] - '0');
        if (v > most) {
            bad(w, "a width or precision is too large");
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
        bad(w, "not enough arguments");
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
        bad(w, end ? "expected a dictionary" : "a name without end");
        return BB_VALUE(BB_UNDEFINED);
    }
    *at = (size_t)(end - p->s) + 1;
    from->by_name = true;
    const bb_value *v = bb_dict_find(w, from->values.is.dict,
                                     bb_text(bb_passage_slice(w, p, begin, *at - 1)));
    if (!v) bad(w, "a name that the dictionary lacks");
    return v ? *v : BB_VALUE(BB_UNDEFINED);
}

/* Read flags, width and precision; *at ends at the letter. */
static spec read_percent_spec(bb_work *w, const bb_passage *p, size_t *at, source *from)
{
    spec s = PLAIN;
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
        if (s.width > WIDTH_MOST) bad(w, "a width is too large");
    } else s.width = read_number(w, p->s, p->n, at, WIDTH_MOST);
    if (*at < p->n && p->s[*at] == '.') {
        ++*at;
        s.precision = read_number(w, p->s, p->n, at, PRECISION_MOST);
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

static void put_percent(bb_builder *b, spec s, bb_value v)
{
    bb_work *w = b->w;

    if (!s.align) s.align = '>';
    switch (s.type) {
    case 's': put_text_value(b, &s, bb_string(w, v)); break;
    case 'r': {
        bb_builder repr = bb_builder_begin(w);
        bb_put_repr(&repr, v);
        put_text_value(b, &s, bb_builder_text(&repr));
        break;
    }
    case 'd': case 'i': case 'u':
        if (v.kind == BB_FLOAT && fabs(v.is.number) < 9e18) v = bb_int((int64_t)v.is.number);
        s.type = 'd';
        put_value(b, &s, v);
        break;
    case 'c':
        if (v.kind == BB_TEXT && v.is.text->n_chars == 1) put_text_value(b, &s, v.is.text);
        else put_value(b, &s, v);
        break;
    case 'x': case 'X': case 'o':
    case 'e': case 'E': case 'f': case 'F': case 'g': case 'G':
        put_value(b, &s, v);
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
        const spec s = read_percent_spec(w, p, &at, &from);
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
    if (w->status == BAMBA_OK && !all) bad(w, "more arguments than places");
    return bb_text(bb_builder_text(&b));
}

/* -------------------------------------------------------------- "{}".format(x) ----------- */

static spec read_spec(bb_work *w, const bb_passage *p, size_t at, size_t end)
{
    spec   s = PLAIN;
    size_t length = 0;

    if (at < end) s.fill = bb_passage_char(p, at, &length);
    if (at + length < end && length && is_one(p->s[at + length], "<>^=")) {
        s.align = p->s[at + length];
        at += length + 1;
    } else {
        s.fill = ' ';
        if (at < end && is_one(p->s[at], "<>^=")) s.align = p->s[at++];
    }
    if (at < end && is_one(p->s[at], "+- ")) {
        s.sign = p->s[at] == '-' ? 0 : p->s[at];
        at++;
    }
    if (at < end && p->s[at] == '#') s.alternate = true, at++;
    if (at < end && p->s[at] == '0') {
        if (!s.align) s.fill = '0', s.align = '=';
        at++;
    }
    s.width = read_number(w, p->s, end, &at, WIDTH_MOST);
    if (at < end && (p->s[at] == ',' || p->s[at] == '_')) s.group = p->s[at++];
    if (at < end && p->s[at] == '.') {
        at++;
        s.precision = read_number(w, p->s, end, &at, PRECISION_MOST);
        if (s.precision < 0) bad(w, "a precision is missing");
    }
    if (at < end) s.type = p->s[at++];
    if (at < end || (s.type && !strchr("sdxXobneEfFgG%c", s.type)))
        bad(w, "a specification that is not understood");
    return s;
}

/* The argument that a field begins with; *at moves past its name. */
static bb_value first_value(bb_work *w, const bb_passage *p, size_t *at, size_t end,
                            const bb_arguments *a, size_t *next)
{
    const size_t begin = *at;
    int64_t      index = read_number(w, p->s, end, at, WIDTH_MOST);

    while (*at < end && p->s[*at] != '.' && p->s[*at] != '[') ++*at, index = -1;
    if (begin == *at) index = (int64_t)(*next)++;
    if (index >= 0 && (size_t)index < a->n) return a->value[index];
    for (size_t i = 0; i < a->n_named; i++) {
        const bb_passage *name = a->named[i].key.is.text;
        if (name->n == *at - begin && memcmp(name->s, p->s + begin, name->n) == 0)
            return a->named[i].value;
    }
    bad(w, "an argument is missing");
    return BB_VALUE(BB_UNDEFINED);
}

/* A field's value: name, then .attribute and [item] any number of times. */
static bb_value field_value(bb_work *w, const bb_passage *p, size_t at, size_t end,
                            const bb_arguments *a, size_t *next)
{
    bb_value v = first_value(w, p, &at, end, a, next);

    while (at < end && w->status == BAMBA_OK) {
        const bool   item = p->s[at] == '[';
        const size_t begin = ++at;
        while (at < end && (item ? p->s[at] != ']' : p->s[at] != '.' && p->s[at] != '[')) at++;
        const bb_passage *name = bb_passage_slice(w, p, begin, at);
        size_t            digits = 0;
        const int64_t     index = read_number(w, name->s, name->n, &digits, WIDTH_MOST);
        if (!item) v = bb_attribute(w, v, name);
        else v = bb_item(w, v, digits == name->n && index >= 0 ? bb_int(index) : bb_text(name));
        at += item && at < end;
    }
    return v;
}

static void put_field(bb_builder *b, const bb_passage *p, size_t begin, size_t end,
                      const bb_arguments *a, size_t *next)
{
    bb_work *w = b->w;
    size_t   name = begin, at;

    while (name < end && p->s[name] != '!' && p->s[name] != ':') name++;
    bb_value   v = field_value(w, p, begin, name, a, next);
    const char conversion = name + 1 < end && p->s[name] == '!' ? p->s[name + 1] : 0;
    at = conversion ? name + 2 : name;
    if (w->status != BAMBA_OK) return;
    if (at < end && p->s[at] != ':') {
        bad(w, "a field that is not understood");
        return;
    }
    if (conversion == 'r') {
        bb_builder repr = bb_builder_begin(w);
        bb_put_repr(&repr, v);
        v = bb_text(bb_builder_text(&repr));
    } else if (conversion) v = bb_text(bb_string(w, v));
    if (at + 1 >= end) {
        bb_put_string(b, v);
        return;
    }
    const spec s = read_spec(w, p, at + 1, end);
    if (w->status == BAMBA_OK) put_value(b, &s, v);
}

bb_value bb_format(bb_work *w, const bb_passage *p, const bb_arguments *arguments)
{
    bb_builder b = bb_builder_begin(w);
    size_t     next = 0, done = 0;

    if (p->is_markup)
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "format of safe text is not supported");
    for (size_t at = 0; at < p->n && bb_step(w, 1); at++) {
        const char c = p->s[at];
        if (c != '{' && c != '}') continue;
        bb_put_part(&b, p, done, at);
        if (at + 1 < p->n && p->s[at + 1] == c) {
            done = ++at;
            continue;
        }
        const char *end = c == '{' ? memchr(p->s + at, '}', p->n - at) : NULL;
        if (!end) bad(w, "a brace that stands alone");
        else if (memchr(p->s + at + 1, '{', (size_t)(end - p->s) - at - 1))
            bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "format: fields in fields are not supported");
        else put_field(&b, p, at + 1, (size_t)(end - p->s), arguments, &next);
        if (end) at = (size_t)(end - p->s);
        done = at + 1;
    }
    bb_put_part(&b, p, done, p->n);
    return bb_text(bb_builder_text(&b));
}
