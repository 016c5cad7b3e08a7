/* attribute.c - x.name, x['name'] and x[3] as templates see them: Python's attributes and items,
 * and what the sandbox hides. */
#include "chat/render.h"

#include <stdlib.h>

bb_value bb_undefined_attribute(bb_work *w, bb_value owner, const bb_passage *name, bool is_unsafe)
{
    bb_undefined *u = bb_work_take(w, 1, sizeof *u);

    if (u) *u = (bb_undefined){ .name = name, .is_unsafe = is_unsafe,
                                .owner = owner.kind == BB_MISSING ? NULL : bb_kind_name(owner) };
    return (bb_value){ .kind = BB_UNDEFINED, .is.undefined = u };
}

bb_value bb_undefined_hint(bb_work *w, const char *hint)
{
    bb_undefined *u = bb_work_take(w, 1, sizeof *u);

    if (u) *u = (bb_undefined){ .hint = hint };
    return (bb_value){ .kind = BB_UNDEFINED, .is.undefined = u };
}

static bool is_one_of(const bb_passage *name, const char *const *words)
{
    for (; *words; words++)
        if (bb_passage_is(name, *words)) return true;
    return false;
}

/* Methods that change their object, which the sandbox hides. */
static bool changes(bb_value x, const bb_passage *name)
{
    static const char *const lists[] = { "append", "clear", "pop", "reverse", "insert", "sort",
                                         "extend", "remove", NULL };
    static const char *const dicts[] = { "clear", "pop", "popitem", "setdefault", "update", NULL };

    return (x.kind == BB_LIST && is_one_of(name, lists)) ||
           (x.kind == BB_DICT && is_one_of(name, dicts));
}

static const bb_builtin *find_method(bb_value x, const bb_passage *name)
{
    static const bb_builtin *const dict[] = { bb_dict_methods, NULL };
    static const bb_builtin *const list[] = { bb_list_methods, bb_tuple_methods, NULL };
    static const bb_builtin *const loop[] = { bb_loop_methods, NULL };

    switch (x.kind) {
    case BB_TEXT:  return bb_builtin_find(bb_methods_of_texts, name);
    case BB_DICT:  return bb_builtin_find(dict, name);
    case BB_LIST:
    case BB_TUPLE:
    case BB_RANGE: return bb_builtin_find(x.kind == BB_LIST ? list : list + 1, name);
    case BB_LOOP:  return bb_builtin_find(loop, name);
    default:       return NULL;
    }
}

/* Whether an object has an attribute of a name that begins with two underscores. Every object of
   Python has some, none of which may be used. Which ones matters for dictionaries alone: what is no
   attribute of theirs can be a key. */
static bool is_internal(bb_value x, const bb_passage *name)
{
    static const char *const dicts[] = {
        "__class__", "__class_getitem__", "__contains__", "__delattr__", "__delitem__", "__dir__",
        "__doc__", "__eq__", "__format__", "__ge__", "__getattribute__", "__getitem__",
        "__getstate__", "__gt__", "__hash__", "__init__", "__init_subclass__", "__ior__",
        "__iter__", "__le__", "__len__", "__lt__", "__ne__", "__new__", "__or__", "__reduce__",
        "__reduce_ex__", "__repr__", "__reversed__", "__ror__", "__setattr__", "__setitem__",
        "__sizeof__", "__str__", "__subclasshook__", NULL
    };

    if (name->n < 2 || memcmp(name->s, "__", 2) != 0) return false;
    return x.kind != BB_DICT || is_one_of(name, dicts);
}

/* What Jinja tells about a macro. */
static bool get_macro_attribute(bb_work *w, const bb_node *macro, const bb_passage *name,
                                bb_value *out)
{
    const bb_value names = bb_list_new(w, BB_TUPLE);
    bool           explicit_caller = false;

    for (const bb_node *i = macro->a; i; i = i->next) {
        bb_list_push(w, names, bb_text(i->text));
        explicit_caller = explicit_caller || bb_passage_is(i->text, "caller");
    }
    if (bb_passage_is(name, "name"))
        *out = macro->flags & BB_NAMELESS ? BB_VALUE(BB_NONE) : bb_text(macro->text);
    else if (bb_passage_is(name, "arguments")) *out = names;
    else if (bb_passage_is(name, "catch_kwargs")) *out = bb_bool(macro->flags & BB_KWARGS);
    else if (bb_passage_is(name, "catch_varargs")) *out = bb_bool(macro->flags & BB_VARARGS);
    else if (bb_passage_is(name, "caller")) *out = bb_bool(macro->flags & BB_CALLER);
    else if (bb_passage_is(name, "explicit_caller")) *out = bb_bool(explicit_caller);
    else return false;
    return true;
}

/* A Python attribute; false if there is none of the name. */
static bool get_attribute(bb_work *w, bb_value x, const bb_passage *name, bb_value *out)
{
    if (x.kind == BB_NAMESPACE) {
        const bb_value *member = bb_dict_find(w, x.is.dict, bb_text(name));
        if (member) *out = *member;
        return member != NULL;
    }
    if (is_internal(x, name) || changes(x, name)) {
        *out = bb_undefined_attribute(w, x, name, true);
        return true;
    }
    if (x.kind == BB_TUPLE && x.is.list->view &&
        (bb_passage_is(name, "grouper") || bb_passage_is(name, "list"))) {
        *out = x.is.list->item[bb_passage_is(name, "list")];
        return true;
    }
    if (x.kind == BB_MACRO) return get_macro_attribute(w, x.is.macro->node, name, out);
    const bb_builtin *method = find_method(x, name);
    if (!method) return false;
    bb_method *bound = bb_work_take(w, 1, sizeof *bound);
    if (bound) *bound = (bb_method){ x, method };
    *out = (bb_value){ .kind = bound ? BB_METHOD : BB_UNDEFINED, .is.method = bound };
    return true;
}

/* Element `index` of a list or text, counting from the end if it is negative. */
static bool get_element(bb_work *w, bb_value x, int64_t index, bb_value *out)
{
    const bool    text = x.kind == BB_TEXT;
    const int64_t n = (int64_t)(text ? x.is.text->n_chars : x.is.list->n);
    size_t        length;

    if (index < 0) index += n;
    if (index < 0 || index >= n) return false;
    if (!text) {
        *out = x.is.list->item[index];
        return true;
    }
    if (!bb_step(w, 1 + (x.is.text->n == x.is.text->n_chars ? 0 : x.is.text->n / 16))) return false;
    const size_t at = bb_passage_offset(x.is.text, (size_t)index);
    bb_passage_char(x.is.text, at, &length);
    *out = bb_text(bb_passage_slice(w, x.is.text, at, at + length));
    return true;
}

static bool has_elements(bb_value x)
{
    return x.kind == BB_TEXT || x.kind == BB_LIST || x.kind == BB_TUPLE || x.kind == BB_RANGE;
}

/* What Python's x[key] gives; false where it has a LookupError or TypeError. */
static bool get_item(bb_work *w, bb_value x, bb_value key, bb_value *out)
{
    if (x.kind == BB_DICT) {
        if (key.kind == BB_LIST || key.kind == BB_DICT) return false;
        const bb_value *member = bb_dict_find(w, x.is.dict, key);
        if (member) *out = *member;
        return member != NULL;
    }
    return has_elements(x) && bb_is_integer(key) && get_element(w, x, bb_integer(key), out);
}

bb_value bb_attribute(bb_work *w, bb_value x, const bb_passage *name)
{
    bb_value out;

    if (x.kind == BB_UNDEFINED) return bb_fail_undefined(w, x);
    if (get_attribute(w, x, name, &out) || get_item(w, x, bb_text(name), &out)) return out;
    return bb_undefined_attribute(w, x, name, false);
}

bb_value bb_item(bb_work *w, bb_value x, bb_value key)
{
    bb_value out;

    if (x.kind == BB_UNDEFINED) return bb_fail_undefined(w, x);
    if (get_item(w, x, key, &out)) return out;
    if (key.kind == BB_TEXT && get_attribute(w, x, key.is.text, &out)) return out;
    return bb_undefined_attribute(w, x, bb_string(w, key), false);
}

/* A part of a path is an index if it consists of digits. */
static bb_value read_part(bb_work *w, const bb_passage *path, size_t begin, size_t end)
{
    int64_t v = 0;

    for (size_t i = begin; i < end; i++) {
        if (path->s[i] < '0' || path->s[i] > '9' || v > INT64_MAX / 10 - 1)
            return bb_text(bb_passage_slice(w, path, begin, end));
        v = v * 10 + (path->s[i] - '0');
    }
    return begin < end ? bb_int(v) : bb_text(bb_passage_slice(w, path, begin, end));
}

bb_value bb_path(bb_work *w, bb_value x, bb_value path, bb_value fallback)
{
    if (path.kind == BB_NONE || path.kind == BB_MISSING) return x;
    if (path.kind != BB_TEXT) {
        x = bb_item(w, x, path);
        return x.kind == BB_UNDEFINED && fallback.kind > BB_NONE ? fallback : x;
    }
    const bb_passage *p = path.is.text;
    for (size_t begin = 0; begin <= p->n && w->status == BAMBA_OK;) {
        const char *dot = begin < p->n ? memchr(p->s + begin, '.', p->n - begin) : NULL;
        const size_t end = dot ? (size_t)(dot - p->s) : p->n;
        x = bb_item(w, x, read_part(w, p, begin, end));
        if (x.kind == BB_UNDEFINED && fallback.kind > BB_NONE) x = fallback;
        begin = end + 1;
    }
    return x;
}
