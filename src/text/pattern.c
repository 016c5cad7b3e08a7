/* pattern.c - from the reference's regular expressions to ours.
 *
 * One pass over the pattern that copies what means the same and rewrites what does not:
 *
 *   \s        White_Space; PCRE2's also takes U+180E
 *   \d \w     by general category; PCRE2's \w leaves marks out
 *   \p{Han}   Script; PCRE2's means Script_Extensions (and takes CJK punctuation)
 *   \p{L}     with the characters of Unicode 15 to 16, if this PCRE2 is older
 *   \h \v \u  hexadecimal digit, vertical tab, code point
 *   {,n}      {0,n}
 *
 * What would read differently and has no short translation is refused, never guessed.
 * Source: Oniguruma doc/RE and doc/SYNTAX.md; pcre2pattern(3). */
#include "text/pattern.h"

#include "base/utf8.h"
#include "text/unicode_new.h"

#include <stdio.h>
#include <string.h>

typedef struct reader {
    const char  *s;                       /* [n] */
    size_t       n;
    size_t       at;
    bb_buffer   *out;
    unsigned     unicode_major;
    bool         in_class;
    bool         memory;                  /* ran out of memory */
    bamba_error *err;
} reader;

static char peek(const reader *r, size_t ahead)
{
    return r->at + ahead < r->n ? r->s[r->at + ahead] : '\0';
}

static bool starts(const reader *r, const char *text)
{
    const size_t n = strlen(text);
    return r->n - r->at >= n && memcmp(r->s + r->at, text, n) == 0;
}

static void put(reader *r, const char *text, size_t n)
{
    if (!bb_buffer_append(r->out, text, n)) r->memory = true;
}

static void put_text(reader *r, const char *text)
{
    put(r, text, strlen(text));
}

static bb_status refuse(const reader *r, const char *what)
{
    return bb_fail(r->err, BAMBA_ERR_UNSUPPORTED, "pattern, byte %zu: %s is not supported",
                   r->at, what);
}

/* Write the characters of a property that are newer than PCRE2's Unicode, as items of a class. */
static void put_newer(reader *r, const char *property, size_t length)
{
    size_t                  n;
    const bb_unicode_range *range = bb_unicode_new(&n);
    char                    item[40];

    if (r->unicode_major >= 16) return;
    for (size_t i = 0; i < n; i++) {
        const size_t have = strlen(range[i].property);
        const bool   same = length == 1 ? have == 2 && range[i].property[0] == property[0]
                                        : have == length &&
                                          memcmp(range[i].property, property, length) == 0;
        if (!same) continue;
        snprintf(item, sizeof item, "\\x{%X}-\\x{%X}", (unsigned)range[i].first,
                 (unsigned)range[i].last);
        put_text(r, item);
    }
}

static bool is_category(const char *name, size_t n)
{
    static const char known[] = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc "
                                "Sk So Zs Zl Zp Cc Cf Co";
    if (n == 1) return strchr("LMNPSZ", name[0]) != NULL;
    if (n != 2) return false;
    for (size_t i = 0; i + 1 < sizeof known; i += 3)
        if (memcmp(known + i, name, 2) == 0) return true;
    return false;
}

/* Translate \p{name}, \P{name} or \p{^name}, from the backslash on. */
static bb_status read_property(reader *r)
{
    bool negated = peek(r, 1) == 'P';

    if (peek(r, 2) != '{') return refuse(r, "\\p without braces");
    size_t from = r->at + 3;
    if (from < r->n && r->s[from] == '^') {
        negated = !negated;
        from++;
    }
    const char  *name = r->s + from;
    const char  *end = memchr(name, '}', r->n - from);
    const size_t length = end ? (size_t)(end - name) : 0;
    if (length == 0 || length > 40) return refuse(r, "this form of \\p");
    for (size_t i = 0; i < length; i++) {
        const char c = name[i];
        const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter) return refuse(r, "this property");
    }
    /* A negated property inside a class is left to PCRE2's own Unicode: no other item of the class
       could take the newer characters out again. */
    const bool spelled = !(negated && r->in_class);
    if (!r->in_class) put_text(r, negated ? "[^" : "[");
    put_text(r, spelled ? "\\p{" : "\\P{");
    if (!is_category(name, length)) put_text(r, "sc:");
    put(r, name, length);
    put_text(r, "}");
    if (spelled) put_newer(r, name, length);
    if (!r->in_class) put_text(r, "]");
    r->at = from + length + 1;
    return BAMBA_OK;
}

/* Translate \xHH, \x{…} or \uHHHH, from the backslash on. */
static bb_status read_code_point(reader *r)
{
    const bool braces = peek(r, 1) == 'x' && peek(r, 2) == '{';
    size_t     most = braces ? 6 : peek(r, 1) == 'x' ? 2 : 4;
    size_t     at = r->at + (braces ? 3 : 2);
    unsigned   value = 0;
    size_t     digits = 0;

    for (; digits < most && at < r->n; digits++, at++) {
        const int digit = bb_hex_digit(r->s[at]);
        if (digit < 0) break;
        value = value * 16 + (unsigned)digit;
    }
    if (digits == 0 || (braces && (at >= r->n || r->s[at] != '}')) ||
        (peek(r, 1) == 'u' && digits != 4))
        return refuse(r, "this form of \\x or \\u");
    if (peek(r, 1) == 'x' && !braces && value >= 0x80)
        return refuse(r, "a raw byte above \\x7F");

    char text[16];
    snprintf(text, sizeof text, "\\x{%X}", value);
    put_text(r, text);
    r->at = at + (braces ? 1 : 0);
    return BAMBA_OK;
}

static const char SPACE_ITEMS[] = "\\t-\\r\\x{85}\\p{Z}";
static const char WORD_ITEMS[] =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}\\x{24B6}-\\x{24E9}"
    "\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}";

/* Translate \s, \d, \w, \h or an opposite of them, from the backslash on. */
static bb_status read_shorthand(reader *r)
{
    const char c = peek(r, 1);
    const bool negated = c == 'S' || c == 'D' || c == 'W' || c == 'H';

    if (negated && r->in_class) {
        if (c == 'W' || c == 'H') return refuse(r, "\\W or \\H in a class");
        put_text(r, c == 'S' ? "\\S" : "\\P{Nd}");
        r->at += 2;
        return BAMBA_OK;
    }
    if (!r->in_class) put_text(r, negated ? "[^" : "[");
    switch (c | 0x20) {
    case 's': put_text(r, SPACE_ITEMS); break;
    case 'h': put_text(r, "0-9A-Fa-f"); break;
    case 'd':
        put_text(r, "\\p{Nd}");
        put_newer(r, "Nd", 2);
        break;
    default:
        put_text(r, WORD_ITEMS);
        put_newer(r, "L", 1);
        put_newer(r, "M", 1);
        put_newer(r, "Nd", 2);
        break;
    }
    if (!r->in_class) put_text(r, "]");
    r->at += 2;
    return BAMBA_OK;
}

static bb_status read_escape(reader *r)
{
    const char c = peek(r, 1);

    if (c == '\0') return refuse(r, "a pattern that ends in a backslash or holds NUL");
    if (c == 'p' || c == 'P') return read_property(r);
    if (c == 'x' || c == 'u') return read_code_point(r);
    if (strchr("sSdDwWhH", c)) return read_shorthand(r);
    if (c == 'v') {
        put_text(r, "\\x{B}");
        r->at += 2;
        return BAMBA_OK;
    }
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool digit = c >= '0' && c <= '9';
    const bool same = letter && strchr(r->in_class ? "tnrfae" : "tnrfaeAzZ", c);
    if (digit || (letter && !same) || (unsigned char)c >= 0x80)
        return refuse(r, "this escape");
    put(r, r->s + r->at, 2);
    r->at += 2;
    return BAMBA_OK;
}

/* Translate the beginning of a group; only kinds that mean the same in both are accepted. */
static bb_status read_group(reader *r)
{
    static const char *const same[] = { "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:" };

    if (peek(r, 1) == '*') return refuse(r, "a verb");
    if (peek(r, 1) != '?') {
        put_text(r, "(?:");               /* nothing refers back, so nothing need be captured */
        r->at++;
        return BAMBA_OK;
    }
    if (r->at == 0 && starts(r, "(?i)")) {
        put_text(r, "(?i)");
        r->at += 4;
        return BAMBA_OK;
    }
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (!starts(r, same[i])) continue;
        put_text(r, same[i]);
        r->at += strlen(same[i]);
        return BAMBA_OK;
    }
    return refuse(r, "this kind of group");
}

/* Translate a `{` outside a class: an interval, or a brace that stands for itself. */
static bb_status read_interval(reader *r)
{
    size_t at = r->at + 1;
    size_t low = 0;
    size_t high = 0;

    while (at < r->n && r->s[at] >= '0' && r->s[at] <= '9') at++, low++;
    const bool comma = at < r->n && r->s[at] == ',';
    if (comma) at++;
    while (comma && at < r->n && r->s[at] >= '0' && r->s[at] <= '9') at++, high++;
    if (at >= r->n || r->s[at] != '}' || low + high == 0) {
        put_text(r, "\\{");
        r->at++;
        return BAMBA_OK;
    }
    const char after = at + 1 < r->n ? r->s[at + 1] : '\0';
    if (after == '+' || (after == '?' && !comma)) return refuse(r, "a suffix of this interval");
    put_text(r, low ? "{" : "{0");
    put(r, r->s + r->at + 1, at - r->at);
    r->at = at + 1;
    return BAMBA_OK;
}

/* Translate the beginning of a class. A `]` right after it stands for itself. */
static void open_class(reader *r)
{
    put_text(r, "[");
    r->at++;
    if (peek(r, 0) == '^') {
        put_text(r, "^");
        r->at++;
    }
    if (peek(r, 0) == ']') {
        put_text(r, "\\]");
        r->at++;
    }
    r->in_class = true;
}

static bb_status read_one(reader *r)
{
    const char c = peek(r, 0);

    if (c == '\\') return read_escape(r);
    if (r->in_class) {
        if (c == '[') return refuse(r, "a class within a class");
        if (starts(r, "&&")) return refuse(r, "an intersection of classes");
        if (c == ']') r->in_class = false;
        put(r, r->s + r->at++, 1);
        return BAMBA_OK;
    }
    if (c == '[') {
        open_class(r);
        return BAMBA_OK;
    }
    if (c == '(') return read_group(r);
    if (c == '{') return read_interval(r);
    put(r, r->s + r->at++, 1);
    return BAMBA_OK;
}

bb_status bb_pattern_translate(bb_buffer *out, const char *pattern, size_t n,
                               unsigned unicode_major, bamba_error *err)
{
    reader    r = { .s = pattern, .n = n, .out = out, .unicode_major = unicode_major,
                    .err = err };
    bb_status status = BAMBA_OK;

    while (status == BAMBA_OK && !r.memory && r.at < n) status = read_one(&r);
    if (r.memory) return bb_fail(err, BAMBA_ERR_MEMORY, "pattern: out of memory");
    return status;
}
