/* evaluate.c - expressions of a template: from a node to its value. */
#include "chat/lexer.h"
#include "chat/numerals.h"
#include "chat/render.h"

static bool failed(const bb_render *r)
{
    return r->w.status != BAMBA_OK;
}

/* Make a node the place that messages name. */
static void locate(bb_render *r, const bb_node *node)
{
    if (failed(r)) return;
    r->w.line = node->line;
    r->w.column = node->column;
}

/* -------------------------------------------------------------- names -------------------- */

static bb_value load(bb_render *r, const bb_passage *name)
{
    for (const bb_scope *s = r->scope; s; s = s->outer)
        for (size_t i = s->n; i-- > 0;)
            if (s->variable[i].name == name) return s->variable[i].value;

    const bb_value *given = bb_dict_find(&r->w, r->variables, bb_text(name));
    if (given) return *given;
    const bb_builtin *function = bb_builtin_find(bb_function_tables, name);
    if (function) return (bb_value){ .kind = BB_FUNCTION, .is.function = function };
    return bb_undefined_attribute(&r->w, BB_VALUE(BB_MISSING), name, false);
}

static void assign_member(bb_render *r, const bb_node *target, bb_value value)
{
    const bb_value object = load(r, target->text);

    locate(r, target);
    if (failed(r)) return;
    if (object.kind == BB_UNDEFINED) bb_fail_undefined(&r->w, object);
    else if (object.kind != BB_NAMESPACE)
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "cannot set an attribute of what is no namespace");
    else if (target->value.is.text->s[0] == '_')
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "a namespace takes no names that begin with '_'");
    else bb_dict_set(&r->w, object.is.dict, target->value, value);
}

static void assign_tuple(bb_render *r, const bb_node *target, bb_value value)
{
    const bb_value items = bb_items(&r->w, value);
    size_t         n = 0;

    for (const bb_node *i = target->a; i; i = i->next) n++;
    if (failed(r)) return;
    if (n != items.is.list->n) {
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "expected %zu values to unpack, found %zu", n,
                     items.is.list->n);
        return;
    }
    n = 0;
    for (const bb_node *i = target->a; i; i = i->next) bb_assign(r, i, items.is.list->item[n++]);
}

void bb_assign(bb_render *r, const bb_node *target, bb_value value)
{
    if (failed(r)) return;
    locate(r, target);
    if (target->kind == BB_N_NAME) bb_scope_set(r, r->scope, target->text, value);
    else if (target->kind == BB_N_MEMBER) assign_member(r, target, value);
    else if (bb_enter(&r->w)) {
        assign_tuple(r, target, value);
        bb_leave(&r->w);
    }
}

/* -------------------------------------------------------------- calls -------------------- */

static void name_argument(bb_render *r, bb_value named, bb_value key, bb_value value)
{
    if (!failed(r) && bb_dict_find(&r->w, named.is.dict, key))
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "an argument is given twice");
    else bb_dict_set(&r->w, named.is.dict, key, value);
}

/* Evaluate the arguments of a call; call may be NULL. */
static bb_arguments evaluate_arguments(bb_render *r, const bb_call *call)
{
    bb_arguments out = { 0 };

    if (!call) return out;
    const bb_value list = bb_list_new(&r->w, BB_LIST);
    const bb_value named = bb_dict_new(&r->w);
    for (const bb_node *i = call->positional; i && !failed(r); i = i->next)
        bb_list_push(&r->w, list, bb_evaluate(r, i));
    for (const bb_node *i = call->named; i && !failed(r); i = i->next)
        name_argument(r, named, bb_text(i->text), bb_evaluate(r, i->a));
    if (call->star) {
        const bb_value more = bb_items(&r->w, bb_evaluate(r, call->star));
        for (size_t i = 0; !failed(r) && i < more.is.list->n; i++)
            bb_list_push(&r->w, list, more.is.list->item[i]);
    }
    if (call->stars) {
        const bb_value more = bb_evaluate(r, call->stars);
        if (!failed(r) && more.kind != BB_DICT)
            bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "expected a dictionary behind **, found '%s'",
                         bb_kind_name(more));
        for (size_t i = 0; !failed(r) && i < more.is.dict->n; i++)
            name_argument(r, named, more.is.dict->pair[i].key, more.is.dict->pair[i].value);
    }
    if (failed(r)) return out;
    return (bb_arguments){ list.is.list->item, list.is.list->n, named.is.dict->pair,
                           named.is.dict->n };
}

bb_value bb_call_value(bb_render *r, bb_value callee, const bb_arguments *arguments)
{
    if (failed(r)) return BB_VALUE(BB_UNDEFINED);
    switch (callee.kind) {
    case BB_UNDEFINED: return bb_fail_undefined(&r->w, callee);
    case BB_FUNCTION:
        return bb_builtin_call(r, callee.is.function, BB_VALUE(BB_MISSING), arguments);
    case BB_METHOD:
        return bb_builtin_call(r, callee.is.method->builtin, callee.is.method->self, arguments);
    case BB_MACRO: return bb_call_macro(r, callee.is.macro, arguments);
    case BB_LOOP:  return bb_call_loop(r, callee.is.loop, arguments);
    default:
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "'%s' object is not callable", bb_kind_name(callee));
        return BB_VALUE(BB_UNDEFINED);
    }
}

static bb_value evaluate_call(bb_render *r, const bb_node *node)
{
    const bb_value     callee = bb_evaluate(r, node->a);
    const bb_arguments arguments = evaluate_arguments(r, node->call);

    locate(r, node);
    return bb_call_value(r, callee, &arguments);
}

/* Of a filter or a test. */
static bb_value apply(bb_render *r, const bb_node *node, bb_value input)
{
    const bb_arguments arguments = evaluate_arguments(r, node->call);

    locate(r, node);
    if (failed(r)) return BB_VALUE(BB_UNDEFINED);
    if (!node->builtin) {
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "there is no %s '%.*s'",
                     node->kind == BB_N_TEST ? "test" : "filter",
                     node->text->n < 80 ? (int)node->text->n : 80, node->text->s);
        return BB_VALUE(BB_UNDEFINED);
    }
    return bb_builtin_call(r, node->builtin, input, &arguments);
}

bb_value bb_apply_filters(bb_render *r, const bb_node *filter, bb_value input)
{
    if (!filter || !bb_enter(&r->w)) return input;
    const bb_value out = apply(r, filter, bb_apply_filters(r, filter->a, input));
    bb_leave(&r->w);
    return out;
}

/* -------------------------------------------------------------- operators ---------------- */

/* Chains like a + b + c lean to the left as deep as they are long, so they are not recursed into:
   the operand number i from the bottom is found by walking down again. */
static bb_value evaluate_binary(bb_render *r, const bb_node *node)
{
    const bb_node *at = node;
    size_t         n = 1;

    for (; at->a->kind == BB_N_BINARY; at = at->a) n++;
    bb_value left = bb_evaluate(r, at->a);
    for (size_t i = n; i-- > 0 && !failed(r);) {
        at = node;
        for (size_t k = 0; k < i; k++) at = at->a;
        if (!bb_step(&r->w, 1 + i / 8)) break;
        const bb_value right = bb_evaluate(r, at->b);
        locate(r, at);
        if (!failed(r)) left = bb_binary(&r->w, at->op, left, right);
    }
    return left;
}

/* A chain of "and" or of "or" is the first operand that decides it, or the last one. It is walked
   as evaluate_binary walks its chains, not recursed into. */
static bb_value evaluate_logic(bb_render *r, const bb_node *node)
{
    const bool     stop = node->kind == BB_N_OR;
    const bb_node *at = node;
    size_t         n = 1;

    for (; at->a->kind == node->kind; at = at->a) n++;
    bb_value value = bb_evaluate(r, at->a);
    for (size_t i = n; i-- > 0 && !failed(r) && bb_truth(value) != stop;) {
        at = node;
        for (size_t k = 0; k < i; k++) at = at->a;
        if (!bb_step(&r->w, 1 + i / 8)) break;
        value = bb_evaluate(r, at->b);
    }
    return value;
}

static bool compare(bb_render *r, int op, bb_value a, bb_value b)
{
    switch (op) {
    case BB_OP_EQ:     return bb_equal(&r->w, a, b);
    case BB_OP_NE:     return !bb_equal(&r->w, a, b);
    case BB_OP_IN:     return bb_contains(&r->w, a, b);
    case BB_OP_NOT_IN: return !bb_contains(&r->w, a, b);
    case '<':          return bb_compare(&r->w, a, b, "<") < 0;
    case BB_OP_LE:     return bb_compare(&r->w, a, b, "<=") <= 0;
    case '>':          return bb_compare(&r->w, a, b, ">") > 0;
    default:           return bb_compare(&r->w, a, b, ">=") >= 0;
    }
}

/* a < b < c means a < b and b < c. */
static bb_value evaluate_comparison(bb_render *r, const bb_node *node)
{
    bb_value left = bb_evaluate(r, node->a);
    bool     holds = true;

    for (const bb_node *i = node->b; i && holds && !failed(r); i = i->next) {
        const bb_value right = bb_evaluate(r, i->a);
        locate(r, i);
        holds = !failed(r) && compare(r, i->op, left, right);
        left = right;
    }
    return bb_bool(holds);
}

static bb_value evaluate_sign(bb_render *r, const bb_node *node)
{
    const bb_value v = bb_evaluate(r, node->a);

    locate(r, node);
    if (failed(r)) return v;
    if (v.kind == BB_BIG) {
        const bool negative = v.is.text->s[0] == '-';
        return node->kind == BB_N_PLUS ? v
               : bb_integer_of_digits(&r->w, !negative, v.is.text->s + negative,
                                      v.is.text->n - negative);
    }
    return node->kind == BB_N_MINUS && v.kind == BB_FLOAT
               ? bb_float(-v.is.number)
               : bb_binary(&r->w, node->kind == BB_N_MINUS ? '-' : '+', bb_int(0), v);
}

static bb_value evaluate_concat(bb_render *r, const bb_node *node)
{
    bb_builder b = bb_builder_begin(&r->w);

    for (const bb_node *i = node->a; i && !failed(r); i = i->next) {
        const bb_value v = bb_evaluate(r, i);
        locate(r, i);
        bb_put(&b, bb_string(&r->w, v));
    }
    return bb_text(bb_builder_text(&b));
}

static bb_value evaluate_choice(bb_render *r, const bb_node *node)
{
    if (bb_truth(bb_evaluate(r, node->a))) return bb_evaluate(r, node->b);
    if (node->c) return bb_evaluate(r, node->c);
    return bb_undefined_hint(&r->w, "an inline if was false and has no else");
}

/* -------------------------------------------------------------- displays, lookups -------- */

static bb_value evaluate_items(bb_render *r, const bb_node *node)
{
    const bb_value list = bb_list_new(&r->w, node->kind == BB_N_LIST ? BB_LIST : BB_TUPLE);

    for (const bb_node *i = node->a; i && !failed(r); i = i->next)
        bb_list_push(&r->w, list, bb_evaluate(r, i));
    return list;
}

static bb_value evaluate_dict(bb_render *r, const bb_node *node)
{
    const bb_value d = bb_dict_new(&r->w);

    for (const bb_node *i = node->a; i && !failed(r); i = i->next) {
        const bb_value key = bb_evaluate(r, i->a);
        const bb_value value = bb_evaluate(r, i->b);
        locate(r, i);
        if (!failed(r)) bb_dict_set(&r->w, d.is.dict, key, value);
    }
    return d;
}

static bb_value evaluate_slice(bb_render *r, const bb_node *node)
{
    const bb_value x = bb_evaluate(r, node->a);
    const bb_node *const parts[3] = { node->b, node->c, node->d };
    bb_value       bound[3];

    for (int i = 0; i < 3; i++)
        bound[i] = parts[i] ? bb_evaluate(r, parts[i]) : BB_VALUE(BB_NONE);
    locate(r, node);
    return failed(r) ? x : bb_slice(&r->w, x, bound);
}

static bb_value evaluate_attribute(bb_render *r, const bb_node *node)
{
    const bb_value x = bb_evaluate(r, node->a);

    locate(r, node);
    if (failed(r)) return x;
    if (x.kind == BB_LOOP) return bb_loop_attribute(r, x.is.loop, node->text);
    return bb_attribute(&r->w, x, node->text);
}

static bb_value evaluate_item(bb_render *r, const bb_node *node)
{
    const bb_value x = bb_evaluate(r, node->a);
    const bb_value key = bb_evaluate(r, node->b);

    locate(r, node);
    if (failed(r)) return x;
    if (x.kind == BB_LOOP && key.kind == BB_TEXT)
        return bb_loop_attribute(r, x.is.loop, key.is.text);
    return bb_item(&r->w, x, key);
}

static bb_value evaluate(bb_render *r, const bb_node *node)
{
    switch (node->kind) {
    case BB_N_CONST:     return node->value;
    case BB_N_NAME:      locate(r, node); return load(r, node->text);
    case BB_N_ATTRIBUTE: return evaluate_attribute(r, node);
    case BB_N_ITEM:      return evaluate_item(r, node);
    case BB_N_SLICE:     return evaluate_slice(r, node);
    case BB_N_CALL:      return evaluate_call(r, node);
    case BB_N_FILTER:
    case BB_N_TEST:      return apply(r, node, bb_evaluate(r, node->a));
    case BB_N_NOT:       return bb_bool(!bb_truth(bb_evaluate(r, node->a)));
    case BB_N_MINUS:
    case BB_N_PLUS:      return evaluate_sign(r, node);
    case BB_N_AND:
    case BB_N_OR:        return evaluate_logic(r, node);
    case BB_N_BINARY:    return evaluate_binary(r, node);
    case BB_N_CONCAT:    return evaluate_concat(r, node);
    case BB_N_COMPARE:   return evaluate_comparison(r, node);
    case BB_N_CHOICE:    return evaluate_choice(r, node);
    case BB_N_DICT:      return evaluate_dict(r, node);
    default:             return evaluate_items(r, node);
    }
}

bb_value bb_evaluate(bb_render *r, const bb_node *node)
{
    if (!failed(r)) locate(r, node);
    if (!bb_enter(&r->w)) return BB_VALUE(BB_UNDEFINED);
    const bb_value v = evaluate(r, node);
    bb_leave(&r->w);
    return failed(r) ? BB_VALUE(BB_UNDEFINED) : v;
}
