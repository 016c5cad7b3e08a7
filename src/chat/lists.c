/* lists.c - filters that work on lists and dictionaries. */
#include "chat/builtin.h"
#include "chat/lexer.h"

#include <stdlib.h>

static const bb_value NOTHING = { .kind = BB_MISSING };

static bool is_true(bb_value v)
{
    return v.kind != BB_MISSING && bb_truth(v);
}

static bb_value given_or_none(bb_value v)
{
    return v.kind == BB_MISSING ? BB_VALUE(BB_NONE) : v;
}

static bool ok(bb_render *r)
{
    return bb_render_work(r)->status == BAMBA_OK;
}

/* -------------------------------------------------------------- as a whole --------------- */

static bb_value filter_length(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    switch (v[0].kind) {
    case BB_UNDEFINED: return bb_int(0);
    case BB_TEXT:  return bb_int((int64_t)v[0].is.text->n_chars);
    case BB_LIST:
    case BB_TUPLE:
    case BB_RANGE:
    case BB_VIEW:  return bb_int((int64_t)v[0].is.list->n);
    case BB_DICT:  return bb_int((int64_t)v[0].is.dict->n);
    default:
        bb_work_fail(bb_render_work(r), BAMBA_ERR_FORMAT, "object of type '%s' has no length",
                     bb_kind_name(v[0]));
        return bb_int(0);
    }
}

static bb_value filter_list(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value items = bb_items(w, v[0]), list = bb_list_new(w, BB_LIST);

    (void)rest;
    for (size_t i = 0; ok(r) && i < items.is.list->n; i++)
        bb_list_push(w, list, items.is.list->item[i]);
    return list;
}

static bb_value filter_items(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value stream = bb_list_new(w, BB_STREAM);

    (void)rest;
    if (v[0].kind == BB_UNDEFINED) return stream;
    if (v[0].kind != BB_DICT)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "items: expected a mapping, found '%s'",
                     bb_kind_name(v[0]));
    for (size_t i = 0; ok(r) && i < v[0].is.dict->n; i++)
        bb_list_push(w, stream,
                     bb_tuple2(w, v[0].is.dict->pair[i].key, v[0].is.dict->pair[i].value));
    return stream;
}

static bb_value filter_join(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value items = bb_items(w, v[0]);
    bb_builder     b = bb_builder_begin(w);

    (void)rest;
    for (size_t i = 0; ok(r) && i < items.is.list->n; i++) {
        if (i && v[1].kind != BB_MISSING) bb_put(&b, bb_string(w, v[1]));
        bb_put(&b, bb_string(w, bb_path(w, items.is.list->item[i], given_or_none(v[2]), NOTHING)));
    }
    return bb_text(bb_builder_text(&b));
}

static bb_value filter_first(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);
    bb_list *stream = v[0].kind == BB_STREAM ? v[0].is.list : NULL;

    (void)rest;
    if (stream && stream->at < stream->n) return stream->item[stream->at++];
    const bb_value items = bb_items(w, v[0]);
    if (ok(r) && items.is.list->n) return items.is.list->item[0];
    return bb_undefined_hint(w, "there is no first item, the sequence is empty");
}

static bb_value filter_last(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);

    (void)rest;
    if (v[0].kind == BB_STREAM)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "last: a generator cannot be reversed");
    const bb_value items = bb_items(w, v[0]);
    if (ok(r) && items.is.list->n) return items.is.list->item[items.is.list->n - 1];
    return bb_undefined_hint(w, "there is no last item, the sequence is empty");
}

static bb_value filter_reverse(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value backwards[3] = { BB_VALUE(BB_NONE), BB_VALUE(BB_NONE), bb_int(-1) };
    const bb_value out = bb_list_new(w, v[0].kind == BB_STREAM ? BB_LIST : BB_STREAM);

    (void)rest;
    if (v[0].kind == BB_TEXT) return bb_slice(w, v[0], backwards);
    const bb_value items = bb_items(w, v[0]);
    for (size_t i = ok(r) ? items.is.list->n : 0; i-- > 0 && ok(r);)
        bb_list_push(w, out, items.is.list->item[i]);
    return out;
}

static bb_value filter_sum(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value items = bb_items(w, v[0]);
    bb_value       sum = v[2].kind == BB_MISSING ? bb_int(0) : v[2];

    (void)rest;
    for (size_t i = 0; ok(r) && i < items.is.list->n; i++)
        sum = bb_binary(w, '+', sum,
                        bb_path(w, items.is.list->item[i], given_or_none(v[1]), NOTHING));
    return sum;
}

/* -------------------------------------------------------------- order -------------------- */

/* What items are compared by: an attribute, or the fallback where there is none; texts without
   their case unless that counts. */
static bb_value sort_key_or(bb_render *r, bb_value item, bb_value attribute, bool keep_case,
                            bb_value fallback)
{
    bb_work       *w = bb_render_work(r);
    const bb_value key = bb_path(w, item, attribute, fallback);

    if (keep_case || key.kind != BB_TEXT || !ok(r)) return key;
    const bb_passage name = { .s = "lower", .n = 5 };
    return bb_builtin_call(r, bb_builtin_find(bb_methods_of_texts, &name), key,
                           &(bb_arguments){ 0 });
}

static bb_value sort_key(bb_render *r, bb_value item, bb_value attribute, bool keep_case)
{
    return sort_key_or(r, item, attribute, keep_case, NOTHING);
}

/* The keys for a list of attributes, "a,b". */
static bb_value sort_keys(bb_render *r, bb_value item, bb_value attributes, bool keep_case)
{
    bb_work       *w = bb_render_work(r);
    const bb_value keys = bb_list_new(w, BB_LIST);

    if (attributes.kind != BB_TEXT) {
        bb_list_push(w, keys, sort_key(r, item, attributes, keep_case));
        return keys;
    }
    const bb_passage *p = attributes.is.text;
    for (size_t begin = 0; begin <= p->n && ok(r);) {
        const char  *comma = begin < p->n ? memchr(p->s + begin, ',', p->n - begin) : NULL;
        const size_t end = comma ? (size_t)(comma - p->s) : p->n;
        bb_list_push(w, keys, sort_key(r, item, bb_text(bb_passage_slice(w, p, begin, end)),
                                       keep_case));
        begin = end + 1;
    }
    return keys;
}

static bb_value filter_sort(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value list = filter_list(r, v, rest), keys = bb_list_new(w, BB_LIST);

    for (size_t i = 0; ok(r) && i < list.is.list->n; i++)
        bb_list_push(w, keys, sort_keys(r, list.is.list->item[i], given_or_none(v[3]),
                                        is_true(v[2])));
    if (ok(r))
        bb_sort_items(w, keys.is.list->item, list.is.list->item, list.is.list->n, is_true(v[1]));
    return list;
}

static bb_value filter_dictsort(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bool     by_value = v[2].kind != BB_MISSING &&
                              bb_passage_is(bb_want_text(w, v[2]), "value");
    const bb_value list = bb_list_new(w, BB_LIST), keys = bb_list_new(w, BB_LIST);

    (void)rest;
    if (v[0].kind == BB_UNDEFINED) return bb_fail_undefined(w, v[0]);
    if (v[0].kind != BB_DICT)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "dictsort: expected a mapping, found '%s'",
                     bb_kind_name(v[0]));
    for (size_t i = 0; ok(r) && i < v[0].is.dict->n; i++) {
        const bb_pair *p = &v[0].is.dict->pair[i];
        bb_list_push(w, list, bb_tuple2(w, p->key, p->value));
        bb_list_push(w, keys, sort_key(r, by_value ? p->value : p->key, BB_VALUE(BB_NONE),
                                       is_true(v[1])));
    }
    if (ok(r))
        bb_sort_items(w, keys.is.list->item, list.is.list->item, list.is.list->n, is_true(v[3]));
    return list;
}

static bb_value filter_unique(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value items = bb_items(w, v[0]), seen = bb_dict_new(w);
    const bb_value out = bb_list_new(w, BB_STREAM);

    (void)rest;
    for (size_t i = 0; ok(r) && i < items.is.list->n; i++) {
        const bb_value item = items.is.list->item[i];
        const bb_value key = sort_key(r, item, given_or_none(v[2]), is_true(v[1]));
        if (!ok(r) || bb_dict_find(w, seen.is.dict, key)) continue;
        bb_dict_set(w, seen.is.dict, key, item);
        bb_list_push(w, out, item);
    }
    return out;
}

/* sign: 1 for the largest, -1 for the smallest; the first of equals. */
static bb_value extreme(bb_render *r, bb_value *v, int sign)
{
    bb_work       *w = bb_render_work(r);
    const bb_value items = bb_items(w, v[0]);
    bb_value       best = BB_VALUE(BB_MISSING), best_key = best;

    for (size_t i = 0; ok(r) && i < items.is.list->n; i++) {
        const bb_value item = items.is.list->item[i];
        const bb_value key = sort_key(r, item, given_or_none(v[2]), is_true(v[1]));
        if (!ok(r)) break;
        if (best.kind != BB_MISSING &&
            bb_compare(w, key, best_key, sign > 0 ? ">" : "<") * sign <= 0)
            continue;
        best = item;
        best_key = key;
    }
    return best.kind == BB_MISSING ? bb_undefined_hint(w, "the sequence is empty") : best;
}

static bb_value filter_min(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return extreme(r, v, -1);
}

static bb_value filter_max(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return extreme(r, v, 1);
}

static bb_value filter_groupby(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bool     keep_case = is_true(v[3]);
    const bb_value list = filter_list(r, v, rest), keys = bb_list_new(w, BB_LIST);
    const bb_value out = bb_list_new(w, BB_LIST);
    bb_value       group = BB_VALUE(BB_MISSING);

    for (size_t i = 0; ok(r) && i < list.is.list->n; i++)
        bb_list_push(w, keys, sort_key_or(r, list.is.list->item[i], v[1], keep_case, v[2]));
    if (ok(r)) bb_sort_items(w, keys.is.list->item, list.is.list->item, list.is.list->n, false);
    for (size_t i = 0; ok(r) && i < list.is.list->n; i++) {
        const bb_value item = list.is.list->item[i], *key = keys.is.list->item + i;
        if (group.kind == BB_MISSING || !bb_equal(w, key[0], key[-1])) {
            group = bb_list_new(w, BB_LIST);
            const bb_value two = bb_tuple2(w, bb_path(w, item, v[1], v[2]), group);
            if (ok(r)) two.is.list->view = "group";
            bb_list_push(w, out, two);
        }
        bb_list_push(w, group, item);
    }
    return out;
}

/* -------------------------------------------------------------- item by item ------------- */

static bb_value apply_named(bb_render *r, const bb_builtin *const *tables, bb_value item,
                            const bb_arguments *arguments, size_t skip)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *name = bb_want_text(w, arguments->value[skip]);
    const bb_builtin *b = bb_builtin_find(tables, name);
    bb_arguments      rest = *arguments;

    rest.value += skip + 1;
    rest.n -= skip + 1;
    if (!b && ok(r))
        bb_work_fail(w, BAMBA_ERR_FORMAT, "there is no filter or test '%.*s'",
                     name->n < 80 ? (int)name->n : 80, name->s);
    return ok(r) ? bb_builtin_call(r, b, item, &rest) : BB_VALUE(BB_UNDEFINED);
}

/* map(attribute='a.b', default=x) */
static bb_value map_attribute(bb_render *r, bb_value items, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value out = bb_list_new(w, BB_STREAM);
    bb_value       attribute = BB_VALUE(BB_MISSING), fallback = attribute;

    for (size_t i = 0; i < rest->n_named; i++) {
        const bb_passage *name = rest->named[i].key.is.text;
        if (bb_passage_is(name, "attribute")) attribute = rest->named[i].value;
        else if (bb_passage_is(name, "default")) fallback = rest->named[i].value;
        else bb_work_fail(w, BAMBA_ERR_FORMAT, "map: an argument too many");
    }
    if (attribute.kind == BB_MISSING)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "map: expected a filter or an attribute");
    for (size_t i = 0; ok(r) && i < items.is.list->n; i++) {
        bb_list_push(w, out, bb_path(w, items.is.list->item[i], attribute, fallback));
    }
    return out;
}

static bb_value filter_map(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value out = bb_list_new(w, BB_STREAM);

    if (!bb_truth(v[0])) return out;
    const bb_value items = bb_items(w, v[0]);
    if (!ok(r) || rest->n == 0) return map_attribute(r, items, rest);
    for (size_t i = 0; ok(r) && i < items.is.list->n; i++)
        bb_list_push(w, out, apply_named(r, bb_filters, items.is.list->item[i], rest, 0));
    return out;
}

/* Keep the items whose test, or truth without one, is `wanted`; by an attribute of theirs if
   by_attribute. */
static bb_value choose(bb_render *r, bb_value *v, const bb_arguments *rest, bool by_attribute,
                       bool wanted)
{
    bb_work       *w = bb_render_work(r);
    const bb_value out = bb_list_new(w, BB_STREAM);

    if (!bb_truth(v[0])) return out;
    const bb_value items = bb_items(w, v[0]);
    if (by_attribute && rest->n == 0)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "expected the name of an attribute");
    for (size_t i = 0; ok(r) && i < items.is.list->n; i++) {
        const bb_value item = items.is.list->item[i];
        bb_value       x = by_attribute ? bb_path(w, item, rest->value[0], NOTHING) : item;
        if (rest->n > by_attribute) x = apply_named(r, bb_tests, x, rest, by_attribute);
        if (bb_truth(x) == wanted) bb_list_push(w, out, item);
    }
    return out;
}

static bb_value filter_select(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    return choose(r, v, rest, false, true);
}

static bb_value filter_reject(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    return choose(r, v, rest, false, false);
}

static bb_value filter_selectattr(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    return choose(r, v, rest, true, true);
}

static bb_value filter_rejectattr(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    return choose(r, v, rest, true, false);
}

static bb_value filter_batch(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value items = bb_items(w, v[0]), out = bb_list_new(w, BB_STREAM);
    const int64_t  size = bb_want_integer(w, v[1], 0);
    bb_value       row = BB_VALUE(BB_MISSING);

    (void)rest;
    for (size_t i = 0; ok(r) && i < items.is.list->n; i++) {
        if (row.kind == BB_MISSING || (int64_t)row.is.list->n == size) {
            row = bb_list_new(w, BB_LIST);
            bb_list_push(w, out, row);
        }
        bb_list_push(w, row, items.is.list->item[i]);
    }
    while (ok(r) && row.kind != BB_MISSING && v[2].kind > BB_NONE && (int64_t)row.is.list->n < size)
        bb_list_push(w, row, v[2]);
    return out;
}

static bb_value filter_slice(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bb_value items = bb_items(w, v[0]), out = bb_list_new(w, BB_STREAM);
    const int64_t  slices = bb_want_integer(w, v[1], 0);
    size_t         at = 0;

    (void)rest;
    if (ok(r) && slices <= 0)
        bb_work_fail(w, BAMBA_ERR_FORMAT, "slice: expected a positive number");
    for (int64_t i = 0; i < slices && ok(r); i++) {
        const int64_t  n = (int64_t)items.is.list->n, more = i < n % slices;
        const bb_value row = bb_list_new(w, BB_LIST);
        for (int64_t k = 0; k < n / slices + more && ok(r); k++)
            bb_list_push(w, row, items.is.list->item[at++]);
        if (!more && v[2].kind > BB_NONE && ok(r)) bb_list_push(w, row, v[2]);
        bb_list_push(w, out, row);
    }
    return out;
}

const bb_builtin bb_list_filters[] = {
    { "length", filter_length, "value" },
    { "count", filter_length, "value" },
    { "list", filter_list, "value" },
    { "items", filter_items, "value" },
    { "join", filter_join, "value d? attribute?" },
    { "first", filter_first, "seq" },
    { "last", filter_last, "seq" },
    { "reverse", filter_reverse, "value" },
    { "sum", filter_sum, "iterable attribute? start?" },
    { "sort", filter_sort, "value reverse? case_sensitive? attribute?" },
    { "dictsort", filter_dictsort, "value case_sensitive? by? reverse?" },
    { "unique", filter_unique, "value case_sensitive? attribute?" },
    { "min", filter_min, "value case_sensitive? attribute?" },
    { "max", filter_max, "value case_sensitive? attribute?" },
    { "groupby", filter_groupby, "value attribute default? case_sensitive?" },
    { "map", filter_map, "value *" },
    { "select", filter_select, "value *" },
    { "reject", filter_reject, "value *" },
    { "selectattr", filter_selectattr, "value *" },
    { "rejectattr", filter_rejectattr, "value *" },
    { "batch", filter_batch, "value linecount fill_with?" },
    { "slice", filter_slice, "value slices fill_with?" },
    { NULL, NULL, NULL }
};
