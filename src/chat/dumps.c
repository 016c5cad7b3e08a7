/* dumps.c - values as JSON, as Python's json.dumps writes them. */
#include "chat/show.h"

#include <math.h>
#include <stdio.h>

typedef struct dump {
    bb_builder          *b;
    const bb_json_style *style;
    int                  level;
} dump;

static void put_value(dump *d, bb_value v);

static void put_unit(bb_builder *b, uint32_t c, bool is_user)
{
    char text[8];

    snprintf(text, sizeof text, "\\u%04x", c & 0xFFFF);
    bb_put_bytes(b, text, 6, is_user);
}

static void put_special(bb_builder *b, uint32_t c, bool is_user)
{
    static const char plain[] = "\"\\\n\r\t\f\b";
    static const char *const meant[] = { "\\\"", "\\\\", "\\n", "\\r", "\\t", "\\f", "\\b" };
    const char *const p = c && c < 0x80 ? strchr(plain, (int)c) : NULL;

    if (p) {
        bb_put_bytes(b, meant[p - plain], 2, is_user);
    } else if (c >= 0x10000) {
        put_unit(b, 0xD800 + ((c - 0x10000) >> 10), is_user);
        put_unit(b, 0xDC00 + ((c - 0x10000) & 0x3FF), is_user);
    } else put_unit(b, c, is_user);
}

static void put_text(dump *d, const bb_passage *p)
{
    bb_builder *b = d->b;
    size_t      done = 0;

    bb_put_text(b, "\"");
    for (size_t at = 0, length = 1; at < p->n && b->w->status == BAMBA_OK; at += length) {
        const unsigned char c = (unsigned char)p->s[at];
        length = 1;
        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x7F || !d->style->ascii)) continue;
        bb_put_part(b, p, done, at);
        const uint32_t u = bb_passage_char(p, at, &length);
        put_special(b, u, bb_passage_is_user(p, at));
        done = at + length;
    }
    bb_put_part(b, p, done, p->n);
    bb_put_text(b, "\"");
}

static void put_number(dump *d, bb_value v)
{
    if (v.kind == BB_BOOL) bb_put_text(d->b, v.is.is_true ? "true" : "false");
    else if (v.kind != BB_FLOAT || isfinite(v.is.number)) bb_put_repr(d->b, v);
    else bb_put_text(d->b, isnan(v.is.number) ? "NaN" : v.is.number < 0 ? "-Infinity" : "Infinity");
}

/* Begin a line of the current level. */
static void put_line(dump *d)
{
    if (!d->style->is_indented) return;
    bb_put_text(d->b, "\n");
    for (int i = 0; i < d->level; i++) bb_put(d->b, d->style->indent);
}

static void put_comma(dump *d)
{
    if (d->style->comma) bb_put(d->b, d->style->comma);
    else bb_put_text(d->b, d->style->is_indented ? "," : ", ");
}

static void put_key(dump *d, bb_value key)
{
    if (key.kind == BB_TEXT) {
        put_text(d, key.is.text);
    } else if (key.kind == BB_NONE || bb_is_number(key) || key.kind == BB_BIG) {
        bb_put_text(d->b, "\"");
        put_value(d, key);
        bb_put_text(d->b, "\"");
    } else {
        bb_work_fail(d->b->w, BAMBA_ERR_FORMAT,
                     "tojson: a key must be a text or a number, not '%s'", bb_kind_name(key));
    }
    if (d->style->colon) bb_put(d->b, d->style->colon);
    else bb_put_text(d->b, ": ");
}

/* The members in the order of their keys. */
static const bb_dict *sort_keys(dump *d, const bb_dict *given)
{
    bb_work       *w = d->b->w;
    const bb_value sorted = bb_dict_new(w);
    bb_value      *keys = bb_work_take(w, given->n, 2 * sizeof *keys);

    if (!keys) return given;
    for (size_t i = 0; i < given->n; i++) keys[i] = given->pair[i].key;
    for (size_t i = 0; i < given->n; i++) keys[given->n + i] = given->pair[i].value;
    bb_sort_items(w, keys, keys + given->n, given->n, false);
    for (size_t i = 0; i < given->n && w->status == BAMBA_OK; i++)
        bb_dict_set(w, sorted.is.dict, keys[i], keys[given->n + i]);
    return w->status == BAMBA_OK ? sorted.is.dict : given;
}

static void put_members(dump *d, const bb_dict *members)
{
    if (d->style->sort_keys && members->n > 1) members = sort_keys(d, members);
    bb_put_text(d->b, "{");
    d->level++;
    for (size_t i = 0; i < members->n && d->b->w->status == BAMBA_OK; i++) {
        if (i) put_comma(d);
        put_line(d);
        put_key(d, members->pair[i].key);
        put_value(d, members->pair[i].value);
    }
    d->level--;
    if (members->n) put_line(d);
    bb_put_text(d->b, "}");
}

static void put_elements(dump *d, const bb_list *l)
{
    bb_put_text(d->b, "[");
    d->level++;
    for (size_t i = 0; i < l->n && d->b->w->status == BAMBA_OK; i++) {
        if (i) put_comma(d);
        put_line(d);
        put_value(d, l->item[i]);
    }
    d->level--;
    if (l->n) put_line(d);
    bb_put_text(d->b, "]");
}

static void put_value(dump *d, bb_value v)
{
    switch (v.kind) {
    case BB_NONE:  bb_put_text(d->b, "null"); break;
    case BB_BOOL:
    case BB_INT:
    case BB_BIG:
    case BB_FLOAT: put_number(d, v); break;
    case BB_TEXT:  put_text(d, v.is.text); break;
    case BB_LIST:
    case BB_TUPLE:
    case BB_DICT:
        if (!bb_enter(d->b->w)) return;
        if (v.kind == BB_DICT) put_members(d, v.is.dict);
        else put_elements(d, v.is.list);
        bb_leave(d->b->w);
        break;
    default:
        bb_work_fail(d->b->w, BAMBA_ERR_FORMAT, "tojson: a value of type '%s' is not JSON",
                     bb_kind_name(v));
    }
}

void bb_put_json(bb_builder *b, bb_value v, const bb_json_style *style)
{
    dump d = { b, style, 0 };

    put_value(&d, v);
}
