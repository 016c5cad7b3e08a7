/* functions.c - functions of templates: range, dict, namespace, raise_exception, strftime_now. */
#include "chat/builtin.h"
#include "chat/clock.h"
#include "chat/render.h"

enum { RANGE_MOST = 100000 };             /* the sandbox's own limit */

static bb_value function_range(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    const bool     one = v[1].kind == BB_MISSING;
    const int64_t  begin = one ? 0 : bb_want_integer(w, v[0], 0);
    const int64_t  end = bb_want_integer(w, one ? v[0] : v[1], 0);
    const int64_t  step = bb_want_integer(w, v[2], 1);
    const bb_value list = bb_list_new(w, BB_RANGE);

    (void)rest;
    if (step == 0) bb_work_fail(w, BAMBA_ERR_FORMAT, "range: the step is 0");
    if (w->status != BAMBA_OK) return list;
    list.is.list->begin = begin;
    list.is.list->end = end;
    list.is.list->step = step;
    for (int64_t i = begin; (step > 0 ? i < end : i > end) && w->status == BAMBA_OK;) {
        if (list.is.list->n == RANGE_MOST)
            bb_work_fail(w, BAMBA_ERR_FORMAT, "range: more than %d numbers", (int)RANGE_MOST);
        bb_list_push(w, list, bb_int(i));
        if (step > 0 ? i > INT64_MAX - step : i < INT64_MIN - step) break;
        i += step;
    }
    return list;
}

/* Fill a dictionary as dict() does: from a mapping or from pairs, then from named arguments. */
static bb_value make_dict(bb_render *r, const bb_arguments *a)
{
    bb_work       *w = bb_render_work(r);
    const bb_value d = bb_dict_new(w);

    if (a->n > 1) bb_work_fail(w, BAMBA_ERR_FORMAT, "dict: expected at most one argument");
    if (w->status != BAMBA_OK) return d;
    if (a->n == 1 && a->value[0].kind == BB_DICT) {
        const bb_dict *from = a->value[0].is.dict;
        for (size_t i = 0; i < from->n; i++)
            bb_dict_set(w, d.is.dict, from->pair[i].key, from->pair[i].value);
    } else if (a->n == 1) {
        const bb_value pairs = bb_items(w, a->value[0]);
        for (size_t i = 0; w->status == BAMBA_OK && i < pairs.is.list->n; i++) {
            const bb_value two = bb_items(w, pairs.is.list->item[i]);
            if (w->status == BAMBA_OK && two.is.list->n != 2)
                bb_work_fail(w, BAMBA_ERR_FORMAT, "dict: expected pairs");
            if (w->status == BAMBA_OK)
                bb_dict_set(w, d.is.dict, two.is.list->item[0], two.is.list->item[1]);
        }
    }
    for (size_t i = 0; i < a->n_named; i++)
        bb_dict_set(w, d.is.dict, a->named[i].key, a->named[i].value);
    return d;
}

static bb_value function_dict(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)v;
    return make_dict(r, rest);
}

static bb_value function_namespace(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);
    bb_value d = make_dict(r, rest);

    (void)v;
    for (size_t i = 0; w->status == BAMBA_OK && i < d.is.dict->n; i++) {
        const bb_value key = d.is.dict->pair[i].key;
        if (key.kind == BB_TEXT && key.is.text->n && key.is.text->s[0] == '_')
            bb_work_fail(w, BAMBA_ERR_FORMAT, "a namespace takes no names that begin with '_'");
    }
    if (d.kind == BB_DICT) d.kind = BB_NAMESPACE;
    return d;
}

static bb_value function_raise(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work          *w = bb_render_work(r);
    const bb_passage *p = bb_string(w, v[0]);

    (void)rest;
    bb_work_fail(w, BAMBA_ERR_ARGUMENT, "the template refuses the conversation: %.*s",
                 p->n < 160 ? (int)p->n : 160, p->s);
    return BB_VALUE(BB_UNDEFINED);
}

static bb_value function_strftime_now(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work *w = bb_render_work(r);

    (void)rest;
    return bb_text(bb_clock_format(w, bb_want_text(w, v[0]), r->now));
}

static bb_value function_unsupported(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)v;
    (void)rest;
    bb_work_fail(bb_render_work(r), BAMBA_ERR_UNSUPPORTED, "this function is not supported");
    return BB_VALUE(BB_UNDEFINED);
}

const bb_builtin bb_functions[] = {
    { "range", function_range, "start stop? step?" },
    { "dict", function_dict, "*" },
    { "namespace", function_namespace, "*" },
    { "raise_exception", function_raise, "message" },
    { "strftime_now", function_strftime_now, "format" },
    { "cycler", function_unsupported, "*" },
    { "joiner", function_unsupported, "*" },
    { "lipsum", function_unsupported, "*" },
    { NULL, NULL, NULL }
};
