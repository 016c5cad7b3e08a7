/* show.c - values as text: str(), repr(), HTML. */
#include "chat/show.h"

#include "chat/render.h"
#include "text/unicode_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The shortest decimal that reads as x; of several, the nearest. Only digits and the exponent are
   taken from what printf writes, so that the locale's decimal point does not matter. */
void bb_put_float(bb_builder *b, double x)
{
    char text[40], digits[24];
    int  n = 0;

    if (isnan(x) || isinf(x)) {
        bb_put_text(b, isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
        return;
    }
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, fabs(x));
        if (strtod(text, NULL) == fabs(x)) break;
    }
    const char *e = strchr(text, 'e');
    for (const char *c = text; c < e; c++)
        if (*c >= '0' && *c <= '9') digits[n++] = *c;
    const int exponent = atoi(e + 1);
    if (signbit(x)) bb_put_text(b, "-");
    if (exponent < -4 || exponent >= 16) {
        bb_put_bytes(b, digits, 1, false);
        if (n > 1) bb_put_text(b, ".");
        bb_put_bytes(b, digits + 1, (size_t)n - 1, false);
        bb_put_format(b, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) bb_put_text(b, "0.");
    for (int i = exponent + 1; i < 0; i++) bb_put_text(b, "0");
    for (int i = 0; i < n || i <= exponent; i++) {
        if (i == exponent + 1 && i > 0) bb_put_text(b, ".");
        bb_put_bytes(b, i < n ? digits + i : "0", 1, false);
    }
    if (n <= exponent + 1) bb_put_text(b, ".0");
}

static void put_escaped(bb_builder *b, uint32_t c, bool is_user)
{
    char text[12];
    const char *format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
    const char *name = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;

    if (name) snprintf(text, sizeof text, "%s", name);
    else snprintf(text, sizeof text, format, c);
    bb_put_bytes(b, text, strlen(text), is_user);
}

/* A text in quotes, as Python writes it: double ones if it has single ones only. */
static void put_quoted(bb_builder *b, const bb_passage *p)
{
    const bool single = p->n && memchr(p->s, '\'', p->n);
    const char quote = single && !memchr(p->s, '"', p->n) ? '"' : '\'';

    bb_put_bytes(b, &quote, 1, false);
    for (size_t at = 0, length; at < p->n && b->w->status == BAMBA_OK; at += length) {
        const uint32_t c = bb_passage_char(p, at, &length);
        const bool     is_user = bb_passage_is_user(p, at);
        if (c == (unsigned char)quote || c == '\\') bb_put_bytes(b, "\\", 1, is_user);
        if (bb_char_is_printable(c)) bb_put_part(b, p, at, at + length);
        else put_escaped(b, c, is_user);
    }
    bb_put_bytes(b, &quote, 1, false);
}

static void put_list(bb_builder *b, const bb_list *l, const char *open, const char *close)
{
    bb_put_text(b, open);
    for (size_t i = 0; i < l->n && b->w->status == BAMBA_OK; i++) {
        if (i) bb_put_text(b, ", ");
        bb_put_repr(b, l->item[i]);
    }
    bb_put_text(b, close);
}

static void put_dict(bb_builder *b, const bb_dict *d)
{
    bb_put_text(b, "{");
    for (size_t i = 0; i < d->n && b->w->status == BAMBA_OK; i++) {
        if (i) bb_put_text(b, ", ");
        bb_put_repr(b, d->pair[i].key);
        bb_put_text(b, ": ");
        bb_put_repr(b, d->pair[i].value);
    }
    bb_put_text(b, "}");
}

static void put_range(bb_builder *b, const bb_list *l)
{
    bb_put_format(b, "range(%lld, %lld", (long long)l->begin, (long long)l->end);
    if (l->step != 1) bb_put_format(b, ", %lld", (long long)l->step);
    bb_put_text(b, ")");
}

static void put_container(bb_builder *b, bb_value v)
{
    switch (v.kind) {
    case BB_LIST:  put_list(b, v.is.list, "[", "]"); break;
    case BB_TUPLE: put_list(b, v.is.list, "(", v.is.list->n == 1 ? ",)" : ")"); break;
    case BB_VIEW:
        bb_put_format(b, "%s(", v.is.list->view);
        put_list(b, v.is.list, "[", "])");
        break;
    case BB_NAMESPACE:
        bb_put_text(b, "<Namespace ");
        put_dict(b, v.is.dict);
        bb_put_text(b, ">");
        break;
    default:       put_dict(b, v.is.dict);
    }
}

void bb_put_repr(bb_builder *b, bb_value v)
{
    switch (v.kind) {
    case BB_UNDEFINED: bb_put_text(b, "Undefined"); break;
    case BB_NONE:      bb_put_text(b, "None"); break;
    case BB_BOOL:      bb_put_text(b, v.is.is_true ? "True" : "False"); break;
    case BB_INT:       bb_put_format(b, "%lld", (long long)v.is.integer); break;
    case BB_BIG:       bb_put(b, v.is.text); break;
    case BB_FLOAT:     bb_put_float(b, v.is.number); break;
    case BB_RANGE:     put_range(b, v.is.list); break;
    case BB_MACRO:
        bb_put_text(b, "<Macro ");
        if (v.is.macro->node->flags & BB_NAMELESS) bb_put_text(b, "anonymous");
        else put_quoted(b, v.is.macro->node->text);
        bb_put_text(b, ">");
        break;
    case BB_TEXT:
        if (v.is.text->is_markup) bb_put_text(b, "Markup(");
        put_quoted(b, v.is.text);
        if (v.is.text->is_markup) bb_put_text(b, ")");
        break;
    case BB_LIST:
    case BB_TUPLE:
    case BB_VIEW:
    case BB_NAMESPACE:
    case BB_DICT:
        if (!bb_enter(b->w)) return;
        put_container(b, v);
        bb_leave(b->w);
        break;
    default:
        bb_work_fail(b->w, BAMBA_ERR_UNSUPPORTED, "a '%s' cannot be written as text",
                     bb_kind_name(v));
    }
}

void bb_put_string(bb_builder *b, bb_value v)
{
    if (v.kind == BB_TEXT) bb_put(b, v.is.text);
    else if (v.kind != BB_UNDEFINED) bb_put_repr(b, v);
}

const bb_passage *bb_string(bb_work *w, bb_value v)
{
    bb_builder b = bb_builder_begin(w);

    if (v.kind == BB_TEXT) return v.is.text;
    bb_put_string(&b, v);
    return bb_builder_text(&b);
}

const bb_passage *bb_escape_markup(bb_work *w, const bb_passage *p)
{
    static const char special[] = "&<>'\"";
    static const char *const names[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    bb_builder b = bb_builder_begin(w);
    size_t     done = 0;

    if (p->is_markup) return p;
    b.is_markup = true;
    for (size_t i = 0; i < p->n; i++) {
        const char *c = p->s[i] ? strchr(special, p->s[i]) : NULL;
        if (!c) continue;
        bb_put_part(&b, p, done, i);
        bb_put_bytes(&b, names[c - special], strlen(names[c - special]), bb_passage_is_user(p, i));
        done = i + 1;
    }
    bb_put_part(&b, p, done, p->n);
    return bb_builder_text(&b);
}
