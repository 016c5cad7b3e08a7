/* format_value.c - values as Python writes them: padding, signs, bases, digits; and its rounding,
 * which goes by those digits. */
#include "chat/format.h"

#include "chat/numerals.h"
#include "chat/show.h"

#include <math.h>
#include <stdio.h>

bool bb_format_bad(bb_work *w, const char *what)
{
    return bb_work_fail(w, BAMBA_ERR_FORMAT, "format: %s", what);
}

/* -------------------------------------------------------------- numbers ------------------ */

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
static void put_padded(bb_builder *b, const bb_format_spec *s, const char *sign,
                       const bb_passage *body, char align)
{
    const int64_t n = s->width - (int64_t)body->n_chars - (int64_t)strlen(sign);

    if (s->align) align = s->align;
    if (align == '=') bb_put_text(b, sign);
    put_fill(b, s->fill, n <= 0 || align == '<' ? 0 : align == '^' ? n / 2 : n);
    if (align != '=') bb_put_text(b, sign);
    bb_put(b, body);
    put_fill(b, s->fill, n <= 0 ? 0 : align == '<' ? n : align == '^' ? n - n / 2 : 0);
}

void bb_put_formatted_text(bb_builder *b, const bb_format_spec *s, const bb_passage *p)
{
    const bool   cut = s->precision >= 0 && (size_t)s->precision < p->n_chars;
    const size_t most = cut ? (size_t)s->precision : p->n_chars;
    put_padded(b, s, "", bb_passage_slice(b->w, p, 0, bb_passage_offset(p, most)), '<');
}

static void put_number_value(bb_builder *b, const bb_format_spec *s, bool negative,
                             const char *prefix, const char *digits)
{
    char sign[8];

    snprintf(sign, sizeof sign, "%s%s", negative ? "-" : s->sign == '+' ? "+" : s->sign ? " " : "",
             prefix);
    put_padded(b, s, sign, bb_passage_of(b->w, digits, strlen(digits)), '>');
}

void bb_put_formatted_integer(bb_builder *b, const bb_format_spec *s, bb_value v)
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

void bb_put_formatted_float(bb_builder *b, const bb_format_spec *s, double x)
{
    char  type = s->type ? s->type : 'g';
    char *digits = bb_work_take(b->w, 512, 1);

    if (!digits) return;
    if (type == '%') x *= 100;
    if (!s->type && s->precision >= 0)
        bb_format_bad(b->w, "a precision without a letter is not supported");
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

void bb_put_formatted(bb_builder *b, const bb_format_spec *s, bb_value v)
{
    const bool integer = !s->type || strchr("dxXobn", s->type);
    const bool fraction = !s->type || strchr("eEfFgG%", s->type);

    if (v.kind == BB_TEXT && (!s->type || s->type == 's')) bb_put_formatted_text(b, s, v.is.text);
    else if (bb_is_integer(v) && integer) bb_put_formatted_integer(b, s, v);
    else if (bb_is_integer(v) && s->type == 'c' && bb_integer(v) >= 0 && bb_integer(v) < 0xD800)
        bb_put_char(b, (uint32_t)bb_integer(v), false);
    else if (bb_is_number(v) && fraction) bb_put_formatted_float(b, s, bb_number(v));
    else bb_work_fail(b->w, BAMBA_ERR_FORMAT, "format: '%c' does not fit a value of type '%s'",
                      s->type ? s->type : '?', bb_kind_name(v));
}
