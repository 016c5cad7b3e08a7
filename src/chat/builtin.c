/* builtin.c - finding filters, tests, functions and methods, and calling them. */
#include "chat/builtin.h"

#include "chat/render.h"

bb_tables bb_filters = { bb_text_filters, bb_list_filters, bb_value_filters, NULL };
bb_tables bb_tests = { bb_value_tests, NULL };
bb_tables bb_function_tables = { bb_functions, NULL };
bb_tables bb_methods_of_texts = { bb_text_methods, bb_case_methods, NULL };

bb_work *bb_render_work(bb_render *r)
{
    return &r->w;
}

const bb_builtin *bb_builtin_find(const bb_builtin *const *tables, const bb_passage *name)
{
    for (; *tables; tables++)
        for (const bb_builtin *b = *tables; b->name; b++)
            if (bb_passage_is(name, b->name)) return b;
    return NULL;
}

bool bb_builtin_is_known(bool is_test, const bb_passage *name)
{
    static const char *const filters[] = { "filesizeformat", "forceescape", "pprint", "random",
                                           "striptags", "truncate", "urlencode", "urlize",
                                           "wordwrap", "xmlattr", NULL };
    static const char *const tests[] = { "escaped", "filter", "test", "callable", NULL };

    for (const char *const *i = is_test ? tests : filters; *i; i++)
        if (bb_passage_is(name, *i)) return true;
    return false;
}

/* The number of a parameter in a list like "old new count?", or -1. *n: how many there are. */
static int find_parameter(const char *list, const bb_passage *name)
{
    int i = 0;

    while (*list) {
        const size_t n = strcspn(list, " ");
        const size_t n_name = n - (list[n - 1] == '?');
        if (n_name == name->n && memcmp(list, name->s, n_name) == 0) return i;
        list += n + (list[n] == ' ');
        i++;
    }
    return -1;
}

/* Fail if a parameter that must be there has no value. */
static bool check_parameters(bb_work *w, const bb_builtin *builtin, const bb_value *value)
{
    const char *list = builtin->parameters;

    for (int i = 0; *list; i++) {
        const size_t n = strcspn(list, " ");
        if (list[n - 1] != '?' && *list != '*' && value[i].kind == BB_MISSING)
            return bb_work_fail(w, BAMBA_ERR_FORMAT, "%s: the argument '%.*s' is missing",
                                builtin->name, (int)n, list);
        list += n + (list[n] == ' ');
    }
    return true;
}

static int count_parameters(const char *list)
{
    int n = *list && *list != '*';

    for (; *list; list++) n += *list == ' ' && list[1] != '*';
    return n;
}

/* Bind to value [BB_PARAMETERS_MOST]; *rest: what remains for "*". */
static bool bind(bb_work *w, const bb_builtin *builtin, bb_value first,
                 const bb_arguments *arguments, bb_value *value, bb_arguments *rest)
{
    const int  most = count_parameters(builtin->parameters);
    const bool open = strchr(builtin->parameters, '*') != NULL;
    int        n = 0;
    size_t     used = 0;

    for (int i = 0; i < BB_PARAMETERS_MOST; i++) value[i] = BB_VALUE(BB_MISSING);
    if (first.kind != BB_MISSING) value[n++] = first;
    while (n < most && used < arguments->n) value[n++] = arguments->value[used++];
    if (used < arguments->n && !open)
        return bb_work_fail(w, BAMBA_ERR_FORMAT, "%s: expected at most %d arguments", builtin->name,
                            most);
    *rest = (bb_arguments){ used > 0 ? arguments->value + used : arguments->value,   /* or NULL */
                            arguments->n - used, arguments->named, arguments->n_named };
    for (size_t i = 0; i < arguments->n_named && !open; i++) {
        const bb_passage *name = arguments->named[i].key.is.text;
        const int         at = find_parameter(builtin->parameters, name);
        if (at < 0 || value[at].kind != BB_MISSING)
            return bb_work_fail(w, BAMBA_ERR_FORMAT, "%s: an argument '%.*s' too many",
                                builtin->name, name->n < 80 ? (int)name->n : 80, name->s);
        value[at] = arguments->named[i].value;
    }
    return check_parameters(w, builtin, value);
}

bb_value bb_builtin_call(bb_render *r, const bb_builtin *builtin, bb_value first,
                         const bb_arguments *arguments)
{
    bb_value     value[BB_PARAMETERS_MOST];
    bb_arguments rest;
    bb_value     out = BB_VALUE(BB_UNDEFINED);

    if (r->w.status != BAMBA_OK || !bb_enter(&r->w)) return out;
    if (bind(&r->w, builtin, first, arguments, value, &rest)) out = builtin->fn(r, value, &rest);
    bb_leave(&r->w);
    return out;
}

const bb_passage *bb_want_text(bb_work *w, bb_value v)
{
    static const bb_passage empty = { .s = "" };

    if (v.kind == BB_TEXT) return v.is.text;
    if (v.kind == BB_UNDEFINED) bb_fail_undefined(w, v);
    else bb_work_fail(w, BAMBA_ERR_FORMAT, "expected a text, found '%s'", bb_kind_name(v));
    return &empty;
}

int64_t bb_want_integer(bb_work *w, bb_value v, int64_t fallback)
{
    if (v.kind == BB_MISSING || v.kind == BB_NONE) return fallback;
    if (bb_is_integer(v)) return bb_integer(v);
    if (v.kind == BB_UNDEFINED) bb_fail_undefined(w, v);
    else bb_work_fail(w, BAMBA_ERR_FORMAT, "expected an integer, found '%s'", bb_kind_name(v));
    return fallback;
}
