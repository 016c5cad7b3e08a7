/* format_value.c - values as Python writes them: padding, signs, bases, digits; and its rounding,
 * which goes by those digits. */
#include "chat/format.h"

#include "chat/numerals.h"
#include "chat/show.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool bb_format_bad(bb_work *w, const char *what)
{
    return bb_work_fail(w, BAMBA_ERR_FORMAT, "format: %s", what);
}

/* -------------------------------------------------------------- digits ------------------- */

enum { DIGITS_ROOM = 700 };               /* of the largest with 323 decimals, and some more */

/* Write digits of |x| into text [n], with a point whatever the locale has. */
static void print_float(char *text, size_t n, char type, int precision, bool alternate, double x)
{
    char format[] = "%#.*g", raw[DIGITS_ROOM];
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

/* -------------------------------------------------------------- rounding ----------------- */

static double read_back(bb_work *w, const char *digits)
{
    double x = 0;

    bb_parse_float(w, &(bb_passage){ .s = digits, .n = strlen(digits) }, &x);
    return x;
}

/* |x| to a multiple of 10^tens, tens > 0. printf rounds exactly, but keeps one digit at least:
   where none is left, the number is compared with half of the multiple. */
static double round_to_tens(bb_work *w, double x, int tens)
{
    char text[DIGITS_ROOM];

    if (fabs(x) < 1) return 0;
    print_float(text, sizeof text, 'e', 400, false, x);      /* all digits it has */
    const int kept = atoi(strchr(text, 'e') + 1) - tens;
    if (kept < -1) return 0;
    if (kept == -1) {
        const bool above = strspn(text + 1, ".0") < strcspn(text + 1, "e");
        if (*text < '5' || (*text == '5' && !above)) return 0;
        snprintf(text, sizeof text, "1e%d", tens);
    } else print_float(text, sizeof text, 'e', kept, false, x);
    return read_back(w, text);
}

static bb_value round_float(bb_work *w, double x, int64_t decimals)
{
    char   text[DIGITS_ROOM];
    double size = fabs(x);

    if (!bb_step(w, 16) || !isfinite(x) || decimals > 323) return bb_float(x);
    if (decimals < -308) size = 0;
    else if (decimals < 0) size = round_to_tens(w, x, (int)-decimals);
    else if (size < 1e22) {               /* larger ones are whole */
        print_float(text, sizeof text, 'f', (int)decimals, false, x);
        size = read_back(w, text);
    }
    if (isinf(size)) bb_work_fail(w, BAMBA_ERR_FORMAT, "round: the result is too large");
    return bb_float(copysign(size, x));
}

/* An integer to a multiple of 10^tens, tens > 0. */
static bb_value round_integer(bb_work *w, int64_t i, int64_t tens)
{
    uint64_t size = i < 0 ? 0 - (uint64_t)i : (uint64_t)i, multiple = 1;
    char     digits[48];

    if (tens > 19) return bb_int(0);      /* 2^63 is less than half of 10^20 */
    for (int64_t k = 0; k < tens; k++) multiple *= 10;
    const uint64_t rest = size % multiple, half = multiple / 2;
    size /= multiple;
    size += rest > half || (rest == half && size % 2 == 1);
    snprintf(digits, sizeof digits, "%llu%0*d", (unsigned long long)size, (int)tens, 0);
    return bb_integer_of_digits(w, i < 0, digits, strlen(digits));
}

bb_value bb_round(bb_work *w, bb_value v, int64_t decimals)
{
    if (v.kind == BB_FLOAT) return round_float(w, v.is.number, decimals);
    if (v.kind == BB_BIG && decimals < 0)
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "round: an integer beyond 64 bits");
    if (v.kind == BB_BIG) return v;
    return decimals < 0 ? round_integer(w, bb_integer(v), -decimals) : bb_int(bb_integer(v));
}

/* -------------------------------------------------------------- integers ----------------- */

/* The digits of an integer's size in a base, at least `least` of them; NULL after a failure. */
static char *print_integer(bb_work *w, bb_value v, int base, bool upper, int64_t least)
{
    const bool    big = v.kind == BB_BIG;
    const int64_t i = big ? 0 : bb_integer(v);
    uint64_t      left = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    char          reversed[70];
    size_t        n = 0;

    if (big && base != 10)
        bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "format: an integer beyond 64 bits in this base");
    do {
        const int digit = (int)(left % (uint64_t)base);
        reversed[n++] = (char)(digit < 10 ? '0' + digit : (upper ? 'A' : 'a') + digit - 10);
        left /= (uint64_t)base;
    } while (left);
    if (big) n = v.is.text->n - (v.is.text->s[0] == '-');
    const size_t zeros = least > (int64_t)n ? (size_t)least - n : 0;
    char        *text = bb_work_take(w, zeros + n + 1, 1);
    if (!text) return NULL;
    memset(text, '0', zeros);
    if (big) memcpy(text + zeros, v.is.text->s + v.is.text->n - n, n);
    for (size_t k = 0; !big && k < n; k++) text[zeros + k] = reversed[n - 1 - k];
    text[zeros + n] = '\0';
    return text;
}

/* The digits with separators between each `size` before the point. Where zeros fill the width
   behind a sign of n_sign bytes, they are digits too, so that separators stand between them: as
   many as are needed, since none may be the first. NULL after a failure. */
static char *group_digits(bb_work *w, const char *digits, const bb_format_spec *s, size_t size,
                          size_t n_sign)
{
    const size_t whole = strspn(digits, size == 4 ? "0123456789abcdefABCDEF" : "0123456789");
    const size_t rest = strlen(digits) - whole;
    const size_t width = s->fill == '0' && s->align == '=' && s->width > 0 ? (size_t)s->width : 0;
    size_t       n = whole, out = 0;

    while (n + (n ? (n - 1) / size : 0) + rest + n_sign < width) n++;
    char *text = bb_work_take(w, n + n / size + rest + 1, 1);
    if (!text) return NULL;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % size == 0) text[out++] = s->group;
        text[out++] = i < n - whole ? '0' : digits[i - (n - whole)];
    }
    memcpy(text + out, digits + whole, rest + 1);
    return text;
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

/* size: digits of a group. */
static void put_number_value(bb_builder *b, const bb_format_spec *s, bool negative,
                             const char *prefix, const char *digits, size_t size)
{
    char sign[8];

    snprintf(sign, sizeof sign, "%s%s", negative ? "-" : s->sign == '+' ? "+" : s->sign ? " " : "",
             prefix);
    /* Infinity has no digits; those of groups of four may be letters. */
    if (s->group && (size == 4 || (*digits >= '0' && *digits <= '9')))
        digits = group_digits(b->w, digits, s, size, strlen(sign));
    if (digits) put_padded(b, s, sign, bb_passage_of(b->w, digits, strlen(digits)), '>');
}

void bb_put_formatted_integer(bb_builder *b, const bb_format_spec *s, bb_value v)
{
    const char  type = s->type ? s->type : 'd';
    const int   base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    const bool  negative = v.kind == BB_BIG ? v.is.text->s[0] == '-' : bb_integer(v) < 0;
    const char *digits = print_integer(b->w, v, base, type == 'X', s->precision);

    if (digits)
        put_number_value(b, s, negative,
                         !s->alternate || base == 10 ? "" : base == 8 ? "0o" : base == 2 ? "0b"
                         : type == 'X' ? "0X" : "0x", digits, base == 10 ? 3 : 4);
}

/* Digits of |x| as without a letter: with as many as there are at most, but one decimal at least;
   with an exponent where no digit would be left for that. */
static void print_plain(char *text, int precision, bool alternate, double x)
{
    if (precision < 1) precision = 1;
    print_float(text, DIGITS_ROOM, 'e', precision - 1, alternate, x);
    char     *e = strchr(text, 'e');
    const int exponent = e ? atoi(e + 1) : 0;
    if (!e) return;                       /* infinity, NaN */
    if (exponent >= -4 && exponent < precision - 1) {
        print_float(text, DIGITS_ROOM, 'g', precision, alternate, x);
        if (!strchr(text, '.')) strcat(text, ".0");
    } else if (strchr(text, '.') && !alternate) {
        char *end = e;
        while (end[-1] == '0') end--;
        if (end[-1] == '.') end--;
        memmove(end, e, strlen(e) + 1);
    }
}

void bb_put_formatted_float(bb_builder *b, const bb_format_spec *s, double x)
{
    char  type = s->type == 'n' ? 'g' : s->type;
    char *digits = bb_work_take(b->w, DIGITS_ROOM + 1, 1);

    if (!digits) return;
    if (type == '%') x *= 100;
    if (!type && s->precision < 0 && isfinite(x)) {
        bb_builder repr = bb_builder_begin(b->w);
        bb_put_float(&repr, fabs(x));
        const bb_passage *p = bb_builder_text(&repr);
        memcpy(digits, p->s, p->n);
        digits[p->n] = '\0';
    } else if (!type) {
        print_plain(digits, (int)s->precision, s->alternate, x);
    } else {
        print_float(digits, DIGITS_ROOM, type == '%' ? 'f' : type,
                    s->precision < 0 ? 6 : (int)s->precision, s->alternate, x);
    }
    if (type == '%') strcat(digits, "%");
    put_number_value(b, s, signbit(x) && !isnan(x), "", digits, 3);
}

static void put_character(bb_builder *b, const bb_format_spec *s, int64_t c)
{
    bb_builder one = bb_builder_begin(b->w);

    bb_put_char(&one, (uint32_t)c, false);
    put_padded(b, s, "", bb_builder_text(&one), '>');
}

void bb_put_formatted(bb_builder *b, const bb_format_spec *s, bb_value v)
{
    const bool integer = !s->type || strchr("dxXobn", s->type);
    const bool fraction = !s->type || strchr("eEfFgG%n", s->type);
    double     x;

    if (v.kind == BB_TEXT && (!s->type || s->type == 's')) bb_put_formatted_text(b, s, v.is.text);
    else if ((bb_is_integer(v) || v.kind == BB_BIG) && integer) bb_put_formatted_integer(b, s, v);
    else if (bb_is_integer(v) && s->type == 'c' && bb_integer(v) >= 0 &&
             bb_integer(v) <= 0x10FFFF && (bb_integer(v) < 0xD800 || bb_integer(v) > 0xDFFF))
        put_character(b, s, bb_integer(v));
    else if (bb_is_number(v) && fraction) bb_put_formatted_float(b, s, bb_number(v));
    else if (v.kind == BB_BIG && fraction && bb_parse_float(b->w, v.is.text, &x) && isfinite(x))
        bb_put_formatted_float(b, s, x);
    else bb_work_fail(b->w, BAMBA_ERR_FORMAT, "format: '%c' does not fit a value of type '%s'",
                      s->type ? s->type : '?', bb_kind_name(v));
}
