/* containers.c - methods of dictionaries, lists and loops. */
#include "chat/builtin.h"
#include "chat/render.h"

static bb_value make_view(bb_work *w, const char *view, const bb_dict *d)
{
    const bb_value list = bb_list_new(w, BB_VIEW);

    if (w->status == BAMBA_OK) list.is.list->view = view;
    for (size_t i = 0; i < d->n && w->status == BAMBA_OK; i++)
        bb_list_push(w, list, strcmp(view, "dict_keys") == 0     ? d->pair[i].key
                              : strcmp(view, "dict_values") == 0 ? d->pair[i].value
                              : bb_tuple2(w, d->pair[i].key, d->pair[i].value));
    return list;
}

static bb_value method_keys(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return make_view(bb_render_work(r), "dict_keys", v[0].is.dict);
}

static bb_value method_values(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return make_view(bb_render_work(r), "dict_values", v[0].is.dict);
}

static bb_value method_items(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    return make_view(bb_render_work(r), "dict_items", v[0].is.dict);
}

static bb_value method_get(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    const bb_value *found = bb_dict_find(bb_render_work(r), v[0].is.dict, v[1]);

    (void)rest;
    if (found) return *found;
    return v[2].kind == BB_MISSING ? BB_VALUE(BB_NONE) : v[2];
}

static bb_value method_copy(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)r;
    (void)rest;
    return v[0];                          /* nobody can change it */
}

static bb_value method_count(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    int64_t n = 0;

    (void)rest;
    for (size_t i = 0; i < v[0].is.list->n; i++)
        n += bb_equal(bb_render_work(r), v[0].is.list->item[i], v[1]);
    return bb_int(n);
}

static bb_value method_index(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    (void)rest;
    for (size_t i = 0; i < v[0].is.list->n; i++)
        if (bb_equal(bb_render_work(r), v[0].is.list->item[i], v[1])) return bb_int((int64_t)i);
    bb_work_fail(bb_render_work(r), BAMBA_ERR_FORMAT, "index: the value is not in the list");
    return BB_VALUE(BB_UNDEFINED);
}

static bb_value method_cycle(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    if (rest->n == 0) {
        bb_work_fail(bb_render_work(r), BAMBA_ERR_FORMAT, "loop.cycle: expected arguments");
        return BB_VALUE(BB_UNDEFINED);
    }
    return rest->value[(uint64_t)v[0].is.loop->index0 % rest->n];
}

static bb_value method_changed(bb_render *r, bb_value *v, const bb_arguments *rest)
{
    bb_work       *w = bb_render_work(r);
    bb_loop       *loop = v[0].is.loop;
    const bb_value now = bb_list_new(w, BB_TUPLE);

    for (size_t i = 0; i < rest->n; i++) bb_list_push(w, now, rest->value[i]);
    if (w->status != BAMBA_OK || bb_equal(w, now, loop->changed)) return bb_bool(false);
    loop->changed = now;
    return bb_bool(true);
}

const bb_builtin bb_dict_methods[] = {
    { "get", method_get, "self key default?" },
    { "items", method_items, "self" },
    { "keys", method_keys, "self" },
    { "values", method_values, "self" },
    { "copy", method_copy, "self" },
    { NULL, NULL, NULL }
};

const bb_builtin bb_list_methods[] = {
    { "copy", method_copy, "self" },
    { NULL, NULL, NULL }
};

const bb_builtin bb_tuple_methods[] = {
    { "count", method_count, "self value" },
    { "index", method_index, "self value" },
    { NULL, NULL, NULL }
};

const bb_builtin bb_loop_methods[] = {
    { "cycle", method_cycle, "self *" },
    { "changed", method_changed, "self *" },
    { NULL, NULL, NULL }
};
