/* cases.c - upper and lower case, kinds of characters, padding. */
#include "chat/builtin.h"
#include "text/unicode.h"
#include "text/unicode_case.h"

typedef enum letter_case { LOWER, UPPER, TITLE, SWAP, CAPITAL } letter_case;

static bool is_lower(uint32_t c) { return bb_char_case(c) == BB_CASE_LOWER; }
static bool is_upper(uint32_t c) { return bb_char_case(c) == BB_CASE_UPPER; }
static bool is_cased(uint32_t c) { return bb_char_case(c) != BB_CASE_NONE; }

/* Whether a capital sigma at `at` ends a word, and so becomes the other small one: a letter stands
   before it and none behind it, marks and the like apart. */
static bool is_final_sigma(const bb_passage *p, size_t at, size_t length)
{
    size_t i = at, n;

    while (i > 0) {
        i = bb_passage_before(p, i);
        const uint32_t c = bb_passage_char(p, i, &n);
        if (bb_char_is_case_ignorable(c)) continue;
        if (!is_cased(c)) return false;
        break;
    }
    if (i == at || bb_char_is_case_ignorable(bb_passage_char(p, i, &n))) return false;
    for (i = at + length; i < p->n; i += n) {
        const uint32_t c = bb_passage_char(p, i, &n);
        if (!bb_char_is_case_ignorable(c)) return !is_cased(c);
    }
    return true;
}

/* Put one character in another case. */
static void put_case(bb_builder *b, const bb_passage *p, size_t at, size_t length, letter_case to)
{
    const uint32_t c = bb_passage_char(p, at, &length);
    const bool     is_user = bb_passage_is_user(p, at);
    uint32_t       out[3] = { c };
    size_t         n = 1;

    if (to == SWAP) to = is_upper(c) ? LOWER : is_lower(c) ? UPPER : SWAP;
    if (to == UPPER) n = bb_char_upper(c, out);
    else if (to == TITLE) n = bb_char_title(c, out);
    else if (to == LOWER && c == 0x3A3 && is_final_sigma(p, at, length)) out[0] = 0x3C2;
    else if (to == LOWER) n = bb_char_lower(c, out);
    for (size_t i = 0; i < n; i++) bb_put_char(b, out[i], is_user);
}

/* The whole text in a case. Title: each letter after what is none is a capital. */
static bb_value convert(bb_render *r, bb_value v, letter_case to)
{
    const bb_passage *p = bb_want_text(bb_render_work(r), v);
    bb_builder        b = bb_builder_begin(bb_render_work(r));
    bool              inside = false;
    size_t            length;

    b.is_markup = p->is_markup;
    for (size_t at = 0; at < p->n && b.w->status == BAMBA_OK; at += length) {
        const uint32_t c = bb_passage_char(p, at, &length);
        letter_case    one = to;
        if (to == TITLE) one = inside ? LOWER : TITLE;
        if (to == CAPITAL) one = at == 0 ? TITLE : LOWER;
        put_case(&b, p, at, length, one);
        inside = is_cased(c);
    }
    return bb_text(bb_builder_text(&b));
}

#define CASE_METHOD(name, to)                                                       \
    static bb_value name(bb_render *r, bb_value *v, const bb_arguments *rest)       \
    {                                                                               \
        (void)rest;                                                                 \
        return convert(r, v[0], to);                                                \
    }
CASE_METHOD(method_upper, UPPER)
CASE_METHOD(method_lower, LOWER)
CASE_METHOD(method_title, TITLE)
CASE_METHOD(method_swapcase, SWAP)
CASE_METHOD(method_capitalize, CAPITAL)

/* -------------------------------------------------------------- kinds -------------------- */

static bool is_alpha(uint32_t c) { return bb_char_is_letter(c); }
static bool is_space(uint32_t c) { return bb_is_py_space(c); }
static bool is_ascii(uint32_t c) { return c < 0x80; }
static bool is_printable(uint32_t c) { return bb_char_is_printable(c); }
static bool is_digit(uint32_t c) { return bb_char_is_digit(c); }
static bool is_decimal(uint32_t c) { return bb_char_is_decimal(c); }
static bool is_alnum(uint32_t c) { return is_alpha(c) || bb_char_is_number(c); }

/* Whether all characters of a text are of a kind, of which there is at least one. */
static bool all(bb_render *r, bb_value v, bool (*is)(uint32_t), bool if_empty)
{
    const bb_passage *p = bb_want_text(bb_render_work(r), v);

    if (!bb_step(bb_render_work(r), p->n)) return false;
    for (size_t at = 0, length; at < p->n; at += length)
        if (!is(bb_passage_char(p, at, &length))) return false;
    return p->n > 0 || if_empty;
}

#define KIND_METHOD(name, is, if_empty)                                             \
    static bb_value name(bb_render *r, bb_value *v, const bb_arguments *rest)       \
    {                                                                               \
        (void)rest;                                                                 \
        return bb_bool(all(r, v[0], is, if_empty));                                 \
    }
KIND_METHOD(method_isalpha, is_alpha, false)
KIND_METHOD(method_isspace, is_space, false)
KIND_METHOD(method_isascii, is_ascii, true)
KIND_METHOD(method_isprintable, is_printable, true)
KIND_METHOD(method_isdigit, is_digit, false)
KIND_METHOD(method_isdecimal, is_decimal, false)
KIND_METHOD(method_isalnum, is_alnum, false)

/* Whether there are letters with a case, and all have this one. */
static bool has_case(bb_render *r, bb_value v, bool (*is)(uint32_t))
{
    const bb_passage *p = bb_want_text(bb_render_work(r), v);
    bool              any = false;

    if (!bb_step(bb_render_work(r), p->n)) return false;
    for (size_t at = 0, length; at < p->n; at += length) {
        const uint32_t c = bb_passage_char(p, at, &length);
        if (is_cased(c) && !is(c)) return false;
        any = any || is(c);
    }
    return any;
}

static bb_value method_islower(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return bb_bool(has_case(r, v[0], is_lower));
}

static bb_value method_isupper(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return bb_bool(has_case(r, v[0], is_upper));
}

/* -------------------------------------------------------------- padding ------------------ */

static void put_fill(bb_builder *b, const bb_passage *fill, int64_t n)
{
    for (; n > 0 && b->w->status == BAMBA_OK; n--) bb_put(b, fill);
}

/* left: share of the padding in front, in halves. */
static bb_value pad(bb_render *r, bb_value *v, int left)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]);
    const bb_passage *fill = v[2].kind == BB_MISSING ? bb_passage_of(w, " ", 1)
                                                     : bb_want_text(w, v[2]);
    const int64_t     width = bb_want_integer(w, v[1], 0), n = width - (int64_t)p->n_chars;
    bb_builder        b = bb_builder_begin(w);

    if (w->status == BAMBA_OK && fill->n_chars != 1)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "expected one character to fill with");
    if (w->status != BAMBA_OK || n <= 0) return bb_text(p);
    b.is_markup = p->is_markup;
    /* Python puts the odd one of a centred text in front if the width is odd. */
    const int64_t before = left == 2 ? n : left == 1 ? n / 2 + (n & width & 1) : 0;
    put_fill(&b, fill, before);
    bb_put(&b, p);
    put_fill(&b, fill, n - before);
    return bb_text(bb_builder_text(&b));
}

static bb_value method_ljust(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return pad(r, v, 0);
}

static bb_value method_rjust(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return pad(r, v, 2);
}

static bb_value method_center(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return pad(r, v, 1);
}

static bb_value method_zfill(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]);
    const int64_t     n = bb_want_integer(w, v[1], 0) - (int64_t)p->n_chars;
    const size_t      sign = p->n && (p->s[0] == '-' || p->s[0] == '+');
    bb_builder        b = bb_builder_begin(w);

    (void)rest;
    bb_put_part(&b, p, 0, sign);
    put_fill(&b, bb_passage_of(w, "0", 1), n);
    bb_put_part(&b, p, sign, p->n);
    return bb_text(bb_builder_text(&b));
}

const bb_builtin bb_case_methods[] = {
    { "upper", method_upper, "self" },
    { "lower", method_lower, "self" },
    { "title", method_title, "self" },
    { "capitalize", method_capitalize, "self" },
    { "swapcase", method_swapcase, "self" },
    { "isalpha", method_isalpha, "self" },
    { "isalnum", method_isalnum, "self" },
    { "isascii", method_isascii, "self" },
    { "isdecimal", method_isdecimal, "self" },
    { "isdigit", method_isdigit, "self" },
    { "isprintable", method_isprintable, "self" },
    { "isspace", method_isspace, "self" },
    { "islower", method_islower, "self" },
    { "isupper", method_isupper, "self" },
    { "ljust", method_ljust, "self width fillchar?" },
    { "rjust", method_rjust, "self width fillchar?" },
    { "center", method_center, "self width fillchar?" },
    { "zfill", method_zfill, "self width" },
    { NULL, NULL, NULL }
};
