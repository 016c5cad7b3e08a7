/* methods.c - methods of texts, dictionaries, lists and loops. */
#include "chat/builtin.h"
#include "chat/render.h"
#include "chat/show.h"

/* -------------------------------------------------------------- stripping ---------------- */

enum { LEFT = 1, RIGHT = 2 };

static bool is_in(const bb_passage *set, uint32_t c)
{
    if (!set) return bb_is_py_space(c);
    for (size_t at = 0, length; at < set->n; at += length)
        if (bb_passage_char(set, at, &length) == c) return true;
    return false;
}

static bb_value strip(bb_render *r, const bb_value *v, int sides)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]);
    const bool        any = v[1].kind == BB_MISSING || v[1].kind == BB_NONE;
    const bb_passage *set = any ? NULL : bb_want_text(w, v[1]);
    size_t            begin = 0, end = p->n, length;

    if (!bb_step(w, p->n / 16)) return v[0];
    while ((sides & LEFT) && begin < end) {
        const uint32_t c = bb_passage_char(p, begin, &length);
        if (!is_in(set, c)) break;
        begin += length;
    }
    while ((sides & RIGHT) && begin < end) {
        const size_t at = bb_passage_before(p, end);
        if (!is_in(set, bb_passage_char(p, at, &length))) break;
        end = at;
    }
    return bb_text(bb_passage_slice(w, p, begin, end));
}

static bb_value method_strip(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return strip(r, v, LEFT | RIGHT);
}

static bb_value method_lstrip(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return strip(r, v, LEFT);
}

static bb_value method_rstrip(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return strip(r, v, RIGHT);
}

/* -------------------------------------------------------------- splitting ---------------- */

/* At white space, runs of which part words; after `most` splits the rest is one word. */
static void split_words(bb_work *w, bb_value list, const bb_passage *p, int64_t most)
{
    size_t at = 0, length;

    while (at < p->n && bb_step(w, 1)) {
        while (at < p->n && bb_is_py_space(bb_passage_char(p, at, &length))) at += length;
        if (at == p->n) return;
        const size_t begin = at;
        if (most-- == 0) at = p->n;
        while (at < p->n && !bb_is_py_space(bb_passage_char(p, at, &length))) at += length;
        bb_list_push(w, list, bb_text(bb_passage_slice(w, p, begin, at)));
    }
}

static void split_last_words(bb_work *w, bb_value list, const bb_passage *p, int64_t most)
{
    size_t at = p->n, length;

    while (at > 0 && bb_step(w, 1)) {
        while (at > 0 && bb_is_py_space(bb_passage_char(p, bb_passage_before(p, at), &length)))
            at -= length;
        if (at == 0) break;
        const size_t end = at;
        if (most-- == 0) at = 0;
        while (at > 0 && !bb_is_py_space(bb_passage_char(p, bb_passage_before(p, at), &length)))
            at -= length;
        bb_list_push(w, list, bb_text(bb_passage_slice(w, p, at, end)));
    }
}

static void reverse_list(bb_list *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        const bb_value t = l->item[i];
        l->item[i] = l->item[l->n - 1 - i];
        l->item[l->n - 1 - i] = t;
    }
}

static bb_value split(bb_render *r, const bb_value *v, bool from_end)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]);
    const bb_value    list = bb_list_new(w, BB_LIST);
    int64_t           most = bb_want_integer(w, v[2], -1);

    if (!bb_step(w, p->n / 16)) return list;
    if (v[1].kind == BB_MISSING || v[1].kind == BB_NONE) {
        if (from_end) split_last_words(w, list, p, most);
        else split_words(w, list, p, most);
        if (from_end && w->status == BAMBA_OK) reverse_list(list.is.list);
        return list;
    }
    const bb_passage *by = bb_want_text(w, v[1]);
    if (by->n == 0) bb_work_fail(w, BAMBA_ERR_FORMAT, "split: the separator is empty");
    if (w->status != BAMBA_OK) return list;
    size_t begin = 0, end = p->n;
    for (; most != 0; most--) {
        const size_t at = from_end ? bb_passage_find_last(w, p, by, begin, end)
                                   : bb_passage_find(w, p, by, begin, end);
        if (at == SIZE_MAX) break;
        bb_list_push(w, list, bb_text(from_end ? bb_passage_slice(w, p, at + by->n, end)
                                               : bb_passage_slice(w, p, begin, at)));
        if (from_end) end = at;
        else begin = at + by->n;
    }
    bb_list_push(w, list, bb_text(bb_passage_slice(w, p, begin, end)));
    if (from_end && w->status == BAMBA_OK) reverse_list(list.is.list);
    return list;
}

static bb_value method_split(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return split(r, v, false);
}

static bb_value method_rsplit(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return split(r, v, true);
}

static bb_value partition(bb_render *r, const bb_value *v, bool from_end)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]), *by = bb_want_text(w, v[1]);
    const bb_value    out = bb_list_new(w, BB_TUPLE);

    if (w->status == BAMBA_OK && by->n == 0)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "partition: the separator is empty");
    if (w->status != BAMBA_OK) return out;
    const size_t at = from_end ? bb_passage_find_last(w, p, by, 0, p->n)
                               : bb_passage_find(w, p, by, 0, p->n);
    const bool   found = at != SIZE_MAX;
    const size_t cut = found ? at : from_end ? 0 : p->n;
    bb_list_push(w, out, bb_text(bb_passage_slice(w, p, 0, cut)));
    bb_list_push(w, out, bb_text(bb_passage_slice(w, p, cut, found ? cut + by->n : cut)));
    bb_list_push(w, out, bb_text(bb_passage_slice(w, p, found ? cut + by->n : cut, p->n)));
    return out;
}

static bb_value method_partition(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return partition(r, v, false);
}

static bb_value method_rpartition(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return partition(r, v, true);
}

static bool ends_line(uint32_t c)
{
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

static bb_value method_splitlines(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]);
    const bool        keep = v[1].kind != BB_MISSING && bb_truth(v[1]);
    const bb_value    list = bb_list_new(w, BB_LIST);
    size_t            begin = 0, length;

    (void)rest;
    for (size_t at = 0; at < p->n && bb_step(w, 1);) {
        const uint32_t c = bb_passage_char(p, at, &length);
        const size_t   end = at;
        at += length;
        if (!ends_line(c)) continue;
        if (c == '\r' && at < p->n && p->s[at] == '\n') at++;
        bb_list_push(w, list, bb_text(bb_passage_slice(w, p, begin, keep ? at : end)));
        begin = at;
    }
    if (begin < p->n) bb_list_push(w, list, bb_text(bb_passage_slice(w, p, begin, p->n)));
    return list;
}

/* -------------------------------------------------------------- finding ------------------ */

/* The part of a text that the arguments behind it name, as bytes; false if it is none. */
static bool part(bb_work *w, const bb_passage *p, bb_value from, bb_value to, size_t *begin,
                 size_t *end)
{
    const int64_t n = (int64_t)p->n_chars;
    int64_t       i = bb_want_integer(w, from, 0), k = bb_want_integer(w, to, n);

    if (i < 0) i = i + n < 0 ? 0 : i + n;
    if (k < 0) k = k + n < 0 ? 0 : k + n;
    if (k > n) k = n;
    if (w->status != BAMBA_OK || i > k || !bb_step(w, p->n / 16)) return false;
    *begin = bb_passage_offset(p, (size_t)i);
    *end = bb_passage_offset(p, (size_t)k);
    return true;
}

static bool begins_or_ends(bb_work *w, bb_value *v, const bb_passage *what, bool at_end)
{
    const bb_passage *p = bb_want_text(w, v[0]);
    size_t            begin, end;

    if (!part(w, p, v[2], v[3], &begin, &end) || what->n > end - begin) return false;
    return memcmp(p->s + (at_end ? end - what->n : begin), what->s, what->n) == 0;
}

static bb_value starts_or_ends(bb_render *r, bb_value *v, bool at_end)
{
    bb_work *w = bb_render_work(r);

    if (v[1].kind != BB_TUPLE) return bb_bool(begins_or_ends(w, v, bb_want_text(w, v[1]), at_end));
    for (size_t i = 0; i < v[1].is.list->n; i++)
        if (begins_or_ends(w, v, bb_want_text(w, v[1].is.list->item[i]), at_end))
            return bb_bool(true);
    return bb_bool(false);
}

static bb_value method_startswith(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return starts_or_ends(r, v, false);
}

static bb_value method_endswith(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return starts_or_ends(r, v, true);
}

static bb_value find(bb_render *r, bb_value *v, bool from_end, bool must)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]), *what = bb_want_text(w, v[1]);
    size_t            begin, end, at = SIZE_MAX;

    if (part(w, p, v[2], v[3], &begin, &end))
        at = from_end ? bb_passage_find_last(w, p, what, begin, end)
                      : bb_passage_find(w, p, what, begin, end);
    if (at == SIZE_MAX && must) bb_work_fail(w, BAMBA_ERR_FORMAT, "index: the text is not found");
    return bb_int(at == SIZE_MAX ? -1 : (int64_t)bb_count_chars(p->s, at));
}

static bb_value method_find(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return find(r, v, false, false);
}

static bb_value method_rfind(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return find(r, v, true, false);
}

static bb_value method_index(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return find(r, v, false, true);
}

static bb_value method_rindex(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return find(r, v, true, true);
}

static bb_value method_count(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]), *what = bb_want_text(w, v[1]);
    size_t            begin, end;
    int64_t           n = 0;

    (void)rest;
    if (!part(w, p, v[2], v[3], &begin, &end)) return bb_int(0);
    if (what->n == 0) return bb_int((int64_t)bb_count_chars(p->s + begin, end - begin) + 1);
    for (; (begin = bb_passage_find(w, p, what, begin, end)) != SIZE_MAX; begin += what->n) n++;
    return bb_int(n);
}

/* -------------------------------------------------------------- changing ----------------- */

static const bb_passage *replace(bb_work *w, const bb_passage *p, const bb_passage *old,
                                 const bb_passage *new, int64_t most)
{
    bb_builder b = bb_builder_begin(w);
    size_t     begin = 0, length;

    b.is_markup = p->is_markup;
    if (old->n == 0) {                    /* in front of every character, and at the end */
        for (; most != 0 && bb_step(w, 1); most--) {
            bb_put(&b, new);
            if (begin == p->n) break;
            bb_passage_char(p, begin, &length);
            bb_put_part(&b, p, begin, begin + length);
            begin += length;
        }
    }
    for (; old->n && most != 0; most--) {
        const size_t at = bb_passage_find(w, p, old, begin, p->n);
        if (at == SIZE_MAX) break;
        bb_put_part(&b, p, begin, at);
        bb_put(&b, new);
        begin = at + old->n;
    }
    if (begin == 0 && b.n == 0) return p;
    bb_put_part(&b, p, begin, p->n);
    return bb_builder_text(&b);
}

static bb_value method_replace(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]), *new = bb_want_text(w, v[2]);

    (void)rest;
    if (p->is_markup) new = bb_escape_markup(w, new);
    return bb_text(replace(w, p, bb_want_text(w, v[1]), new, bb_want_integer(w, v[3], -1)));
}

static bb_value method_join(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value items = bb_items(w, v[1]);
    bb_builder     b = bb_builder_begin(w);

    (void)rest;
    b.is_markup = bb_want_text(w, v[0])->is_markup;
    for (size_t i = 0; w->status == BAMBA_OK && i < items.is.list->n; i++) {
        const bb_passage *p = bb_want_text(w, items.is.list->item[i]);
        if (i) bb_put(&b, v[0].is.text);
        bb_put(&b, b.is_markup ? bb_escape_markup(w, p) : p);
    }
    return bb_text(bb_builder_text(&b));
}

static bb_value method_format(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    return bb_format(bb_render_work(r), bb_want_text(bb_render_work(r), v[0]), rest);
}

static bb_value method_removeprefix(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]), *what = bb_want_text(w, v[1]);
    const bool        there = p->n >= what->n && memcmp(p->s, what->s, what->n) == 0;

    (void)rest;
    return bb_text(bb_passage_slice(w, p, there ? what->n : 0, p->n));
}

static bb_value method_removesuffix(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_want_text(w, v[0]), *what = bb_want_text(w, v[1]);
    const bool        there = p->n >= what->n &&
                              memcmp(p->s + p->n - what->n, what->s, what->n) == 0;

    (void)rest;
    return bb_text(bb_passage_slice(w, p, 0, there ? p->n - what->n : p->n));
}

static bb_value method_unsupported(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)v;
    (void)rest;
    bb_work_fail(bb_render_work(r), BAMBA_ERR_UNSUPPORTED, "this method of texts is not supported");
    return BB_VALUE(BB_UNDEFINED);
}

const bb_builtin bb_text_methods[] = {
    { "strip", method_strip, "self chars?" },
    { "lstrip", method_lstrip, "self chars?" },
    { "rstrip", method_rstrip, "self chars?" },
    { "split", method_split, "self sep? maxsplit?" },
    { "rsplit", method_rsplit, "self sep? maxsplit?" },
    { "partition", method_partition, "self sep" },
    { "rpartition", method_rpartition, "self sep" },
    { "splitlines", method_splitlines, "self keepends?" },
    { "startswith", method_startswith, "self prefix start? end?" },
    { "endswith", method_endswith, "self suffix start? end?" },
    { "find", method_find, "self sub start? end?" },
    { "rfind", method_rfind, "self sub start? end?" },
    { "index", method_index, "self sub start? end?" },
    { "rindex", method_rindex, "self sub start? end?" },
    { "count", method_count, "self sub start? end?" },
    { "replace", method_replace, "self old new count?" },
    { "join", method_join, "self iterable" },
    { "format", method_format, "self *" },
    { "removeprefix", method_removeprefix, "self prefix" },
    { "removesuffix", method_removesuffix, "self suffix" },
    { "casefold", method_unsupported, "self *" },
    { "encode", method_unsupported, "self *" },
    { "expandtabs", method_unsupported, "self *" },
    { "format_map", method_unsupported, "self *" },
    { "isidentifier", method_unsupported, "self *" },
    { "isnumeric", method_unsupported, "self *" },
    { "istitle", method_unsupported, "self *" },
    { "maketrans", method_unsupported, "self *" },
    { "translate", method_unsupported, "self *" },
    { NULL, NULL, NULL }
};
