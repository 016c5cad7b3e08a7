/* lexer.c - a template's text into tokens.
 *
 * Follows jinja2/lexer.py of Jinja 3.1: outside tags the next "{%", "{{" or "{#" ends a stretch of
 * data, inside a tag its end is looked for first wherever all brackets are closed. */
#include "chat/lexer.h"

#include "base/utf8.h"
#include "chat/numerals.h"
#include "text/unicode.h"

enum { BRACKETS_MOST = 100 };

typedef struct lexer {
    bb_work    *w;
    const char *s;                        /* [n] with "\n" as its only line end */
    size_t      n, at;
    size_t      counted;                  /* line and column are those of this offset */
    uint32_t    line, column;
    bool        line_starting;            /* what was cut last ended a line */
    char        closing[BRACKETS_MOST];   /* brackets to come */
    int         n_closing;
    bb_token   *token;                    /* [n_tokens] of [capacity] */
    size_t      n_tokens, capacity;
} lexer;

static bool starts(const lexer *l, size_t at, const char *what)
{
    const size_t n = strlen(what);
    return at <= l->n && l->n - at >= n && memcmp(l->s + at, what, n) == 0;
}

/* End of the white space from `at` on. */
static size_t skip_space(const lexer *l, size_t at)
{
    const unsigned char *u = (const unsigned char *)l->s;

    while (at < l->n) {
        const size_t length = bb_utf8_length(u + at, l->n - at);
        if (!bb_is_py_space(bb_utf8_decode(u + at, length))) break;
        at += length;
    }
    return at;
}

/* Start of the white space that ends at `end`, not before `begin`. */
static size_t space_before(const lexer *l, size_t begin, size_t end)
{
    const bb_passage p = { .s = l->s, .n = l->n };
    size_t           length;

    while (end > begin) {
        const size_t at = bb_passage_before(&p, end);
        if (!bb_is_py_space(bb_passage_char(&p, at, &length))) break;
        end = at;
    }
    return end;
}

/* Make `at` the place that messages name. Places only ever move on. */
static void locate(lexer *l, size_t at)
{
    for (; l->counted < at; l->counted++) {
        const unsigned char c = (unsigned char)l->s[l->counted];
        if (c == '\n') {
            l->line++;
            l->column = 1;
        } else l->column += (c & 0xC0) != 0x80;
    }
    l->w->line = l->line;
    l->w->column = l->column;
}

static bool fail(lexer *l, size_t at, const char *message)
{
    locate(l, at);
    return bb_work_fail(l->w, BAMBA_ERR_FORMAT, "%s", message);
}

static bool add(lexer *l, size_t at, bb_token token)
{
    locate(l, at);
    token.line = l->line;
    token.column = l->column;
    if (l->n_tokens == l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 256;
        bb_token    *more = bb_work_take(l->w, capacity, sizeof *more);
        if (!more) return false;
        if (l->n_tokens) memcpy(more, l->token, l->n_tokens * sizeof *more);
        l->token = more;
        l->capacity = capacity;
    }
    l->token[l->n_tokens++] = token;
    return true;
}

static bool add_data(lexer *l, size_t begin, size_t end)
{
    if (begin == end) return true;
    return add(l, begin, (bb_token){ .kind = BB_T_DATA,
                                     .text = bb_passage_of(l->w, l->s + begin, end - begin) });
}

/* -------------------------------------------------------------- between tags ------------- */

/* End of the data in front of a tag at `tag` with this sign behind its opening. */
static size_t end_of_data(const lexer *l, size_t begin, size_t tag, char sign, bool is_variable)
{
    if (sign == '-') return space_before(l, begin, tag);
    if (sign == '+' || is_variable) return tag;
    size_t line = tag;
    while (line > begin && l->s[line - 1] != '\n') line--;
    const bool whole = line > begin || l->line_starting;
    return whole && space_before(l, line, tag) == line ? line : tag;
}

/* The next "{%", "{{" or "{#" from `at` on, or the end. */
static size_t find_tag(const lexer *l, size_t at)
{
    for (; at < l->n; at++) {
        const char *brace = memchr(l->s + at, '{', l->n - at);
        if (!brace) return l->n;
        at = (size_t)(brace - l->s);
        if (at + 1 < l->n && memchr("%{#", l->s[at + 1], 3)) return at;
    }
    return l->n;
}

/* Past the end "%}" or "#}" of a tag at `at`: "-%}" takes white space with it, "%}" a line end. 0
   if no end stands there. */
static size_t skip_end(const lexer *l, size_t at, const char *end)
{
    if (starts(l, at, "-") && starts(l, at + 1, end)) return skip_space(l, at + 3);
    if (starts(l, at, "+") && starts(l, at + 1, end)) return at + 3;
    if (!starts(l, at, end)) return 0;
    return at + 2 + starts(l, at + 2, "\n");
}

static bool cut_comment(lexer *l, size_t begin)
{
    for (size_t at = l->at; at < l->n; at++) {
        const size_t end = skip_end(l, at, "#}");
        if (!end) continue;
        l->at = end;
        return true;
    }
    return fail(l, begin, "comment without end");
}

/* Past "{% word %}" at `at`; 0 if that does not stand there. *sign: what is behind "{%". */
static size_t skip_raw(const lexer *l, size_t at, const char *word, char *sign)
{
    if (!starts(l, at, "{%")) return 0;
    at += 2;
    *sign = at < l->n && (l->s[at] == '-' || l->s[at] == '+') ? l->s[at] : ' ';
    at = skip_space(l, at + (*sign != ' '));
    if (!starts(l, at, word)) return 0;
    at = skip_space(l, at + strlen(word));
    if (strcmp(word, "endraw") == 0) return skip_end(l, at, "%}");
    if (starts(l, at, "-%}")) return skip_space(l, at + 3);
    return starts(l, at, "%}") ? at + 2 : 0;
}

/* Text between {% raw %} and {% endraw %}, from l->at on. */
static bool cut_raw(lexer *l, size_t begin)
{
    const size_t start = l->at;
    char         sign;

    l->line_starting = l->s[start - 1] == '\n';
    for (size_t at = start; at < l->n; at++) {
        const size_t end = skip_raw(l, at, "endraw", &sign);
        if (!end) continue;
        l->at = end;
        return add_data(l, start, end_of_data(l, start, at, sign, false));
    }
    return fail(l, begin, "raw block without end");
}

/* -------------------------------------------------------------- literals ----------------- */

/* The code point of n hexadecimal digits, or -1. */
static int32_t read_hex(const lexer *l, size_t at, size_t n)
{
    int32_t v = 0;

    for (size_t i = 0; i < n; i++) {
        const int digit = at + i < l->n ? bb_hex_digit(l->s[at + i]) : -1;
        if (digit < 0 || v > 0x10FFFF) return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* Put the character of the escape behind the backslash at `at`. Returns where the text goes on, or
   0. What is no escape stands for itself. */
static size_t put_escape(lexer *l, bb_builder *b, size_t at)
{
    static const char plain[] = "\\'\"abfnrtv";
    static const char meant[] = "\\'\"\a\b\f\n\r\t\v";
    const char   c = l->s[at + 1];
    const char  *p = c ? strchr(plain, c) : NULL;
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;

    if (p) bb_put_bytes(b, meant + (p - plain), 1, false);
    if (p || c == '\n') return at + 2;
    if (c >= '0' && c <= '7') {
        uint32_t v = 0;
        size_t   end = at + 1;
        for (; end < at + 4 && l->s[end] >= '0' && l->s[end] <= '7'; end++)
            v = v * 8 + (uint32_t)(l->s[end] - '0');
        bb_put_char(b, v, false);
        return end;
    }
    if (c == 'N') {
        fail(l, at, "characters by name are not supported");
        return 0;
    }
    if (!digits) {
        bb_put_bytes(b, "\\", 1, false);
        return at + 1;
    }
    const int32_t v = read_hex(l, at + 2, digits);
    if (v < 0 || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF)) {
        fail(l, at, "expected the number of a character after the backslash");
        return 0;
    }
    bb_put_char(b, (uint32_t)v, false);
    return at + 2 + digits;
}

static bool cut_string(lexer *l)
{
    const size_t begin = l->at;
    const char   quote = l->s[begin];
    bb_builder   b = bb_builder_begin(l->w);
    size_t       at = begin + 1;

    while (at < l->n) {
        size_t end = at;
        while (end < l->n && l->s[end] != quote && l->s[end] != '\\') end++;
        bb_put_bytes(&b, l->s + at, end - at, false);
        at = end;
        if (at < l->n && l->s[at] == quote) break;
        if (at + 1 >= l->n) return fail(l, begin, "string without end");
        at = put_escape(l, &b, at);
        if (!at) return false;
    }
    if (at >= l->n) return fail(l, begin, "string without end");
    l->at = at + 1;
    return add(l, begin, (bb_token){ .kind = BB_T_STRING, .text = bb_builder_text(&b) });
}

static bool is_digit(const lexer *l, size_t at)
{
    return at < l->n && l->s[at] >= '0' && l->s[at] <= '9';
}

/* End of digits from `at` on, which single underscores may part. */
static size_t skip_digits(const lexer *l, size_t at)
{
    while (is_digit(l, at)) at += starts(l, at + 1, "_") && is_digit(l, at + 2) ? 2 : 1;
    return at;
}

/* End of the digits of a base behind a prefix that ends at `at`, each of which one underscore may
   come before; `at` itself if there is none. */
static size_t skip_based(const lexer *l, size_t at, int base)
{
    for (;;) {
        const size_t i = at + starts(l, at, "_");
        const int    digit = i < l->n ? bb_hex_digit(l->s[i]) : -1;
        if (digit < 0 || digit >= base) return at;
        at = i + 1;
    }
}

/* End of an integer that begins at `at`, and its base. A zero in front of other digits stands for
   itself: what follows is a number of its own, which no expression allows. */
static size_t skip_integer(const lexer *l, size_t at, int *base)
{
    const bool   zero = l->s[at] == '0' && at + 1 < l->n;
    const int    told = zero ? bb_base_of_letter(l->s[at + 1]) : 0;
    const size_t end = told ? skip_based(l, at + 2, told) : 0;

    *base = end > at + 2 ? told : 10;
    if (end > at + 2) return end;
    if (l->s[at] != '0') return skip_digits(l, at);
    return skip_based(l, at, 1);
}

/* End of a fraction that begins at `at`, or 0 if no point and no exponent stands there. */
static size_t skip_fraction(const lexer *l, size_t at)
{
    size_t end = skip_digits(l, at), found = 0;

    if (at > 0 && l->s[at - 1] == '.') return 0;          /* x.1.2 has two items, no fraction */
    if (starts(l, end, ".") && is_digit(l, end + 1)) found = end = skip_digits(l, end + 1);
    if (end < l->n && (l->s[end] == 'e' || l->s[end] == 'E')) {
        const size_t sign = starts(l, end + 1, "-") || starts(l, end + 1, "+");
        if (is_digit(l, end + 1 + sign)) found = skip_digits(l, end + 1 + sign);
    }
    return found;
}

static bool cut_number(lexer *l)
{
    const size_t begin = l->at, fraction = skip_fraction(l, begin);
    int          base = 10;
    const size_t end = fraction ? fraction : skip_integer(l, begin, &base);
    bb_token     token = { .kind = BB_T_NUMBER, .number = bb_float(0) };
    const bb_passage *p = bb_passage_of(l->w, l->s + begin, end - begin);

    locate(l, begin);
    l->at = end;
    const bool read = fraction ? bb_parse_float(l->w, p, &token.number.is.number)
                               : bb_parse_integer(l->w, p, base, &token.number);
    return read ? add(l, begin, token) : fail(l, begin, "cannot read this number");
}

/* What may stand in a name, and at its beginning: Unicode's XID_Continue and XID_Start, by the
   categories they are made of. Jinja refuses some more: the few that no normal form leaves as they
   are, and marks that are younger than its list. */
static bool is_name_char(uint32_t c, bool first)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
               (!first && c >= '0' && c <= '9');
    const char *k = bb_char_category(c);
    if (k[0] == 'L' || strcmp(k, "Nl") == 0 || c == 0x1885 || c == 0x1886 || c == 0x2118 ||
        c == 0x212E)
        return true;
    return !first && (strcmp(k, "Nd") == 0 || strcmp(k, "Mn") == 0 || strcmp(k, "Mc") == 0 ||
                      strcmp(k, "Pc") == 0 || c == 0xB7 || c == 0x387 || c == 0x19DA ||
                      (c >= 0x1369 && c <= 0x1371));
}

/* End of the name that begins at `at`, or `at`. */
static size_t skip_name(const lexer *l, size_t at)
{
    const bb_passage p = { .s = l->s, .n = l->n };
    const size_t     begin = at;
    size_t           length;

    while (at < l->n && is_name_char(bb_passage_char(&p, at, &length), at == begin)) at += length;
    return at;
}

static bool cut_name(lexer *l)
{
    const size_t begin = l->at;

    l->at = skip_name(l, begin);
    return add(l, begin, (bb_token){ .kind = BB_T_NAME,
                                     .text = bb_passage_of(l->w, l->s + begin, l->at - begin) });
}

/* -------------------------------------------------------------- inside tags -------------- */

static bool balance(lexer *l, char c)
{
    static const char open[] = "{([", closed[] = "})]";
    const char *const opening = strchr(open, c);

    if (opening) {
        if (l->n_closing == BRACKETS_MOST) return fail(l, l->at, "nested too deeply");
        l->closing[l->n_closing++] = closed[opening - open];
    } else if (strchr(closed, c)) {
        if (l->n_closing == 0 || l->closing[--l->n_closing] != c)
            return fail(l, l->at, "a bracket that closes none, or another one");
    }
    return true;
}

static bool cut_operator(lexer *l)
{
    static const char pairs[][3] = { "**", "//", "==", "!=", "<=", ">=" };
    const size_t begin = l->at;
    const char   c = l->s[begin];

    for (int i = 0; i < 6; i++)
        if (starts(l, begin, pairs[i])) {
            l->at += 2;
            return add(l, begin, (bb_token){ .kind = BB_T_OPERATOR, .op = BB_OP_POWER + i });
        }
    if (!c || !strchr("+-/*%~[](){}<>=.:|,;", c)) return fail(l, begin, "unexpected character");
    if (!balance(l, c)) return false;
    l->at++;
    return add(l, begin, (bb_token){ .kind = BB_T_OPERATOR, .op = c });
}

/* Past the end of a tag at `at`, or 0. */
static size_t skip_tag_end(const lexer *l, size_t at, bool is_variable)
{
    if (!is_variable) return skip_end(l, at, "%}");
    if (starts(l, at, "-}}")) return skip_space(l, at + 3);
    return starts(l, at, "}}") ? at + 2 : 0;
}

static bool cut_tag(lexer *l, bool is_variable)
{
    l->n_closing = 0;
    while (l->at < l->n) {
        const size_t begin = l->at;
        const size_t end = l->n_closing ? 0 : skip_tag_end(l, begin, is_variable);
        const char   c = l->s[begin];

        if (end) {
            l->at = end;
            return add(l, begin, (bb_token){ .kind = is_variable ? BB_T_VARIABLE_END
                                                                 : BB_T_BLOCK_END });
        }
        bool ok = true;
        if ((l->at = skip_space(l, begin)) > begin) continue;
        if (c >= '0' && c <= '9') ok = cut_number(l);
        else if (skip_name(l, begin) > begin) ok = cut_name(l);
        else if (c == '"' || c == '\'') ok = cut_string(l);
        else ok = cut_operator(l);
        if (!ok) return false;
    }
    return true;                          /* the parser misses the end */
}

/* Cut the data up to the next tag, and the tag. */
static bool cut_next(lexer *l)
{
    const size_t begin = l->at;
    const size_t tag = find_tag(l, begin);
    char         sign = ' ';

    if (tag == l->n) {
        l->at = l->n;
        return add_data(l, begin, l->n);
    }
    const size_t raw = skip_raw(l, tag, "raw", &sign);
    const bool   is_variable = l->s[tag + 1] == '{';
    const bool   is_comment = l->s[tag + 1] == '#';
    l->at = tag + 2;
    if (!raw) {
        sign = l->at < l->n && (l->s[l->at] == '-' || l->s[l->at] == '+') ? l->s[l->at] : ' ';
        l->at += sign != ' ';
    }
    if (!add_data(l, begin, end_of_data(l, begin, tag, sign, is_variable))) return false;
    bool ok;
    if (raw) {
        l->at = raw;
        ok = cut_raw(l, tag);
    } else if (is_comment) {
        ok = cut_comment(l, tag);
    } else {
        ok = add(l, tag, (bb_token){ .kind = is_variable ? BB_T_VARIABLE_BEGIN
                                                         : BB_T_BLOCK_BEGIN });
        ok = ok && cut_tag(l, is_variable);
    }
    l->line_starting = l->at > 0 && l->s[l->at - 1] == '\n';
    return ok;
}

/* Copy text [n] with "\r\n" and "\r" as "\n", and without one at its end. */
static char *normalize_lines(bb_work *w, const char *text, size_t n, size_t *n_out)
{
    char  *s = bb_work_take(w, n + 1, 1);
    size_t out = 0;

    for (size_t i = 0; s && i < n; i++) {
        if (text[i] == '\n' && i > 0 && text[i - 1] == '\r') continue;
        s[out++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (s && out > 0 && s[out - 1] == '\n') out--;
    if (s) s[out] = '\0';
    *n_out = out;
    return s;
}

bb_token *bb_lex(bb_work *w, const char *text, size_t n)
{
    lexer l = { .w = w, .line = 1, .column = 1, .line_starting = true };

    w->line = w->column = 1;
    l.s = normalize_lines(w, text, n, &l.n);
    if (!l.s) return NULL;
    while (l.at < l.n)
        if (!cut_next(&l) || w->status != BAMBA_OK) return NULL;
    return add(&l, l.n, (bb_token){ .kind = BB_T_END }) ? l.token : NULL;
}
