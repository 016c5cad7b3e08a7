/* numerals.c - numbers that stand in texts, as Python's int() and float() read them. */
#include "chat/numerals.h"

#include "text/unicode_case.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MOST = 4300 };              /* of an integer: Python's own limit */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

/* The value of a decimal digit of any script. Unicode keeps the ten of a script side by side and in
   their order, and such tens may follow one another. */
static int digit_value(uint32_t c)
{
    uint32_t before = c;

    while (before > 0 && bb_char_is_decimal(before - 1)) before--;
    return (int)((c - before) % 10);
}

/* The text without the white space around it, NUL behind it: digits of other scripts as ASCII's,
   what else is not ASCII as '?'. Unlike strip(), Python leaves U+001C to U+001F here. NULL after a
   failure. */
static char *plain_text(bb_work *w, const bb_passage *p, size_t *n)
{
    char  *s = bb_step(w, 1 + p->n / 16) ? bb_work_take(w, p->n + 1, 1) : NULL;
    size_t out = 0;

    for (size_t at = 0, length; s && at < p->n; at += length) {
        const uint32_t c = bb_passage_char(p, at, &length);
        const bool     space = c < 0x80 ? c == ' ' || (c >= 9 && c <= 13) : bb_is_py_space(c);
        if (space && out == 0) continue;
        const bool digit = c >= 0x80 && bb_step(w, 1) && bb_char_is_decimal(c);
        s[out++] = space ? ' ' : c < 0x80 ? (char)c : digit ? (char)('0' + digit_value(c)) : '?';
    }
    while (out > 0 && s[out - 1] == ' ') out--;
    if (s) s[out] = '\0';
    *n = out;
    return s;
}

/* -------------------------------------------------------------- integers ----------------- */

bb_value bb_integer_of_digits(bb_work *w, bool negative, const char *digits, size_t n)
{
    const uint64_t most = (uint64_t)INT64_MAX + negative;
    uint64_t       v = 0;
    bool           fits = true;

    while (n > 0 && *digits == '0') digits++, n--;
    for (size_t i = 0; i < n && fits; i++) {
        const uint64_t digit = (uint64_t)(digits[i] - '0');
        fits = v <= (most - digit) / 10;
        if (fits) v = v * 10 + digit;
    }
    if (fits) return bb_int(negative ? (int64_t)(0 - v) : (int64_t)v);
    char *text = bb_work_take(w, n + 1, 1);
    if (!text) return BB_VALUE(BB_UNDEFINED);
    *text = '-';
    memcpy(text + negative, digits, n);
    return (bb_value){ .kind = BB_BIG, .is.text = bb_passage_of(w, text, n + negative) };
}

bb_value bb_integer_of_float(bb_work *w, double x)
{
    char digits[400];                     /* 309 for the largest */

    if (fabs(x) < 9223372036854775808.0) return bb_int((int64_t)x);
    snprintf(digits, sizeof digits, "%.0f", fabs(x));
    return bb_integer_of_digits(w, x < 0, digits, strlen(digits));
}

static int value_of(char c)
{
    c = lower(c);
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

int bb_base_of_letter(char letter)
{
    const char c = lower(letter);
    return c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
}

/* Take the underscores, each between two digits, out of s [*n]; false if something else than digits
   of the base stands there, or nothing. */
static bool keep_digits(char *s, size_t *n, int64_t base)
{
    size_t out = 0;

    for (size_t i = 0; i < *n; i++) {
        if (s[i] == '_' && i > 0 && s[i - 1] != '_' && i + 1 < *n) continue;
        if (value_of(s[i]) >= base) return false;
        s[out++] = s[i];
    }
    *n = out;
    return out > 0;
}

bool bb_parse_integer(bb_work *w, const bb_passage *p, int64_t base, bb_value *out)
{
    size_t      n;
    char       *s = plain_text(w, p, &n);
    uint64_t    v = 0;

    if (!s || base < 0 || base == 1 || base > 36) return false;
    const bool  negative = *s == '-';
    const char *end = s + n;
    s += negative || *s == '+';
    const int64_t told = *s == '0' ? bb_base_of_letter(s[1]) : 0;
    if (told && (base == told || base == 0)) {
        base = told;
        s += 2;
        s += *s == '_';
    } else if (base == 0) {
        base = 10;
        if (*s == '0' && s[strspn(s, "0_")]) return false;       /* of C, an octal number */
    }
    n = (size_t)(end - s);
    if (!keep_digits(s, &n, base)) return false;
    if ((base & (base - 1)) && n > DIGITS_MOST) return false;
    if (base == 10) {
        *out = bb_integer_of_digits(w, negative, s, n);
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t digit = (uint64_t)value_of(s[i]);
        if (v > ((uint64_t)INT64_MAX - digit) / (uint64_t)base)
            return bb_work_fail(w, BAMBA_ERR_UNSUPPORTED, "an integer beyond 64 bits");
        v = v * (uint64_t)base + digit;
    }
    *out = bb_int(negative ? -(int64_t)v : (int64_t)v);
    return true;
}

/* -------------------------------------------------------------- fractions ---------------- */

static bool is_word(const char *s, const char *word)
{
    for (; *s && lower(*s) == *word; s++) word++;
    return !*s && !*word;
}

/* Past digits, which single underscores may part; what they are goes to digits [*n], without zeros
   in front. Returns how many there were. */
static int64_t take_digits(const char **s, char *digits, size_t *n)
{
    int64_t n_read = 0;

    for (; is_digit(**s); n_read++) {
        if (**s != '0' || *n > 0) digits[(*n)++] = **s;
        *s += (*s)[1] == '_' && is_digit((*s)[2]) ? 2 : 1;
    }
    return n_read;
}

/* An exponent, if one stands there. */
static int64_t take_exponent(const char **s)
{
    const char *at = *s + 1;
    int64_t     v = 0;

    if (lower(**s) != 'e') return 0;
    const bool negative = *at == '-';
    at += negative || *at == '+';
    if (!is_digit(*at)) return 0;
    while (is_digit(*at)) {
        if (v < INT64_MAX / 100) v = v * 10 + (*at - '0');
        at += at[1] == '_' && is_digit(at[2]) ? 2 : 1;
    }
    *s = at;
    return negative ? -v : v;
}

bool bb_parse_float(bb_work *w, const bb_passage *p, double *out)
{
    size_t      n, n_digits = 0;
    const char *s = plain_text(w, p, &n), *end = s ? s + n : NULL;
    char       *digits = s ? bb_work_take(w, n + 32, 1) : NULL;

    if (!digits) return false;
    const double sign = *s == '-' ? -1 : 1;
    s += *s == '-' || *s == '+';
    if (is_word(s, "inf") || is_word(s, "infinity") || is_word(s, "nan")) {
        *out = lower(*s) == 'n' ? (double)NAN : sign * (double)INFINITY;
        return s + strlen(s) == end;
    }
    int64_t n_read = take_digits(&s, digits, &n_digits), n_behind = 0;
    if (*s == '.') {
        s++;
        n_behind = take_digits(&s, digits, &n_digits);
    }
    if (n_read + n_behind == 0) return false;
    const int64_t exponent = take_exponent(&s);
    if (s < end) return false;
    if (n_digits == 0) digits[n_digits++] = '0';
    /* Digits without a point, which the locale may write in another way. */
    snprintf(digits + n_digits, 32, "e%lld", (long long)(exponent - n_behind));
    const int saved = errno;              /* strtod sets it beyond what a double holds */
    *out = sign * strtod(digits, NULL);
    errno = saved;
    return true;
}
