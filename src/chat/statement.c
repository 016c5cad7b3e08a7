/* statement.c - statements of a template: scopes, loops, macros, output. */
#include "chat/render.h"

typedef enum jump { ON, BREAK, CONTINUE } jump;

static jump run_body(bb_render *r, const bb_node *body);

static bool failed(const bb_render *r)
{
    return r->w.status != BAMBA_OK;
}

/* -------------------------------------------------------------- scopes ------------------- */

bb_scope *bb_scope_new(bb_render *r, bb_scope *outer)
{
    bb_scope *s = bb_work_take(&r->w, 1, sizeof *s);

    if (s) *s = (bb_scope){ .outer = outer };
    return s;
}

void bb_scope_set(bb_render *r, bb_scope *s, const bb_passage *name, bb_value value)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->variable[i].name == name) {
            s->variable[i].value = value;
            return;
        }
    if (s->n == s->capacity) {
        const size_t capacity = s->capacity ? 2 * s->capacity : 4;
        struct bb_variable *more = bb_work_take(&r->w, capacity, sizeof *more);
        if (!more) return;
        if (s->n) memcpy(more, s->variable, s->n * sizeof *more);
        s->variable = more;
        s->capacity = capacity;
    }
    s->variable[s->n++] = (struct bb_variable){ name, value };
}

/* A macro lives on with the scopes it was defined in. */
static void hold(bb_scope *s)
{
    for (; s && !s->is_held; s = s->outer) s->is_held = true;
}

/* Run a BB_N_BODY in a scope inside another one; its text goes to the output. */
static jump run_inside(bb_render *r, const bb_node *body, bb_scope *scope)
{
    bb_scope *const outer = r->scope;
    jump            j = ON;

    if (!scope) return ON;
    r->scope = scope;
    for (const bb_node *i = body->b; i && !failed(r); i = i->next)
        bb_scope_set(r, scope, i->text,
                     bb_undefined_attribute(&r->w, BB_VALUE(BB_MISSING), i->text, false));
    j = run_body(r, body->a);
    r->scope = outer;
    return j;
}

/* Run a BB_N_BODY in a scope inside another one; its text is the value that is returned. */
static bb_value capture(bb_render *r, const bb_node *body, bb_scope *scope, jump *j)
{
    bb_builder *const out = r->out;
    bb_builder        inner = bb_builder_begin(&r->w);

    r->out = &inner;
    *j = run_inside(r, body, scope);
    r->out = out;
    return bb_text(bb_builder_text(&inner));
}

/* -------------------------------------------------------------- loops -------------------- */

/* Make the loop's variable hold an item, in a scope of its own, and ask the condition. */
static bool passes(bb_render *r, bb_loop *loop, bb_value item)
{
    bb_scope *const outer = r->scope;

    r->scope = bb_scope_new(r, loop->scope);
    if (r->scope) bb_assign(r, loop->node->a, item);
    const bool passed = !failed(r) && bb_truth(bb_evaluate(r, loop->node->c));
    r->scope = outer;
    return passed;
}

/* The item after the current one, BB_MISSING at the end. */
static bb_value peek(bb_render *r, bb_loop *loop)
{
    while (loop->after.kind == BB_MISSING && loop->next < loop->source->n && !failed(r)) {
        const bb_value item = loop->source->item[loop->next++];
        if (loop->stream) loop->stream->at++;
        if (!loop->is_filtered || passes(r, loop, item)) loop->after = item;
    }
    return loop->after;
}

/* Items from the loop's beginning on, for which the condition must be asked for all. */
static int64_t length(bb_render *r, bb_loop *loop)
{
    if (!loop->is_filtered) return (int64_t)loop->source->n;

    const bb_value rest = bb_list_new(&r->w, BB_LIST);
    while (peek(r, loop).kind != BB_MISSING) {
        bb_list_push(&r->w, rest, loop->after);
        loop->after = BB_VALUE(BB_MISSING);
    }
    if (failed(r)) return 0;
    /* The items so far are gone from the list, but their number counts. */
    bb_list *whole = rest.is.list;
    const size_t n_before = (size_t)loop->index0 + 1;
    const bb_value all = bb_list_new(&r->w, BB_LIST);
    for (size_t i = 0; i < n_before; i++) bb_list_push(&r->w, all, BB_VALUE(BB_NONE));
    for (size_t i = 0; i < whole->n; i++) bb_list_push(&r->w, all, whole->item[i]);
    if (failed(r)) return 0;
    loop->source = all.is.list;
    loop->next = n_before;
    loop->is_filtered = false;
    return (int64_t)loop->source->n;
}

bb_value bb_loop_attribute(bb_render *r, bb_loop *loop, const bb_passage *name)
{
    const bb_value self = { .kind = BB_LOOP, .is.loop = loop };

    if (bb_passage_is(name, "index")) return bb_int(loop->index0 + 1);
    if (bb_passage_is(name, "index0")) return bb_int(loop->index0);
    if (bb_passage_is(name, "first")) return bb_bool(loop->index0 == 0);
    if (bb_passage_is(name, "last")) return bb_bool(peek(r, loop).kind == BB_MISSING);
    if (bb_passage_is(name, "length")) return bb_int(length(r, loop));
    if (bb_passage_is(name, "revindex")) return bb_int(length(r, loop) - loop->index0);
    if (bb_passage_is(name, "revindex0")) return bb_int(length(r, loop) - loop->index0 - 1);
    if (bb_passage_is(name, "depth")) return bb_int(loop->depth0 + 1);
    if (bb_passage_is(name, "depth0")) return bb_int(loop->depth0);
    if (bb_passage_is(name, "previtem"))
        return loop->index0 > 0 ? loop->before
                                : bb_undefined_hint(&r->w, "there is no previous item");
    if (bb_passage_is(name, "nextitem")) {
        const bb_value next = peek(r, loop);
        return next.kind != BB_MISSING ? next : bb_undefined_hint(&r->w, "there is no next item");
    }
    return bb_attribute(&r->w, self, name);
}

static jump run_loop(bb_render *r, bb_loop *loop)
{
    const bb_node *node = loop->node;
    bb_scope      *scope = NULL;
    jump           j = ON;

    while (!failed(r) && j != BREAK && peek(r, loop).kind != BB_MISSING) {
        loop->before = loop->current;
        loop->current = loop->after;
        loop->after = BB_VALUE(BB_MISSING);
        loop->index0++;
        if (!scope || scope->is_held) scope = bb_scope_new(r, loop->scope);
        if (!scope) return ON;
        scope->n = 0;
        bb_scope *const outer = r->scope;
        r->scope = scope;
        bb_scope_set(r, scope, r->syntax->loop, (bb_value){ .kind = BB_LOOP, .is.loop = loop });
        bb_assign(r, node->a, loop->current);
        r->scope = outer;
        j = run_inside(r, node->d, scope);
    }
    if (failed(r) || loop->index0 >= 0) return ON;
    return node->e ? run_inside(r, node->e, bb_scope_new(r, loop->scope)) : ON;
}

/* Begin a loop over a value. */
static bb_loop *make_loop(bb_render *r, const bb_node *node, bb_scope *scope, bb_value over,
                          int64_t depth0)
{
    bb_loop *loop = bb_work_take(&r->w, 1, sizeof *loop);
    size_t   at = over.kind == BB_STREAM ? over.is.list->at : 0;

    if (!loop) return NULL;
    const bb_value items = bb_items(&r->w, over);
    if (failed(r)) return NULL;
    *loop = (bb_loop){ .node = node, .scope = scope, .source = items.is.list,
                       .is_filtered = node->c != NULL, .index0 = -1, .depth0 = depth0 };
    if (over.kind == BB_STREAM) {
        loop->stream = over.is.list;
        loop->stream->at = at;            /* what a break leaves can still be walked */
    }
    return loop;
}

static jump run_for(bb_render *r, const bb_node *node)
{
    bb_loop *loop = make_loop(r, node, r->scope, bb_evaluate(r, node->b), 0);

    return loop ? run_loop(r, loop) : ON;
}

bb_value bb_call_loop(bb_render *r, bb_loop *loop, const bb_arguments *arguments)
{
    bb_builder *const out = r->out;
    bb_scope *const   scope = r->scope;
    bb_builder        inner = bb_builder_begin(&r->w);

    if (!(loop->node->flags & BB_RECURSIVE) || arguments->n != 1 || arguments->n_named) {
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT,
                     "expected a recursive loop and one argument to call it");
        return BB_VALUE(BB_UNDEFINED);
    }
    if (!bb_enter(&r->w)) return BB_VALUE(BB_UNDEFINED);
    bb_loop *deeper = make_loop(r, loop->node, loop->scope, arguments->value[0], loop->depth0 + 1);
    r->out = &inner;
    r->scope = loop->scope;
    if (deeper) run_loop(r, deeper);
    r->scope = scope;
    r->out = out;
    bb_leave(&r->w);
    return bb_text(bb_builder_text(&inner));
}

/* -------------------------------------------------------------- macros ------------------- */

static bb_value make_macro(bb_render *r, const bb_node *node)
{
    bb_macro *m = bb_work_take(&r->w, 1, sizeof *m);

    if (!m) return BB_VALUE(BB_UNDEFINED);
    *m = (bb_macro){ node, r->scope };
    hold(r->scope);
    return (bb_value){ .kind = BB_MACRO, .is.macro = m };
}

/* Take a named argument out of the rest, BB_MISSING if there is none. */
static bb_value take_named(bb_value rest, const char *name, size_t n)
{
    bb_dict *d = rest.is.dict;

    for (size_t i = 0; i < d->n; i++) {
        const bb_passage *key = d->pair[i].key.is.text;
        if (key->n != n || memcmp(key->s, name, n) != 0) continue;
        const bb_value value = d->pair[i].value;
        for (d->n--; i < d->n; i++) d->pair[i] = d->pair[i + 1];
        return value;
    }
    return BB_VALUE(BB_MISSING);
}

static void bind_parameters(bb_render *r, const bb_node *node, const bb_arguments *arguments,
                            bb_value rest)
{
    size_t n = 0;

    for (const bb_node *i = node->a; i && !failed(r); i = i->next, n++) {
        bb_value v = n < arguments->n ? arguments->value[n]
                                      : take_named(rest, i->text->s, i->text->n);
        if (v.kind == BB_MISSING && i->a) v = bb_evaluate(r, i->a);
        else if (v.kind == BB_MISSING) v = bb_undefined_hint(&r->w, "a parameter was not provided");
        bb_scope_set(r, r->scope, i->text, v);
    }
}

/* The variables that a macro has beside its parameters. */
static void bind_special(bb_render *r, const bb_macro *m, const bb_arguments *arguments,
                         bb_value rest)
{
    const bb_node *node = m->node;
    size_t         n = 0;

    bool           is_parameter = false;  /* `caller` itself, which is bound then */

    for (const bb_node *i = node->a; i; i = i->next, n++)
        is_parameter = is_parameter || bb_passage_is(i->text, "caller");
    if (failed(r)) return;
    if (node->flags & BB_CALLER && !is_parameter) {
        const bb_value caller = take_named(rest, "caller", 6);
        bb_scope_set(r, r->scope, r->syntax->caller, caller.kind == BB_MISSING
                     ? bb_undefined_hint(&r->w, "there is no caller") : caller);
    }
    if (node->flags & BB_KWARGS) bb_scope_set(r, r->scope, r->syntax->kwargs, rest);
    else if (rest.is.dict->n > 0)
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "macro '%.*s' takes no argument '%.*s'",
                     (int)node->text->n, node->text->s,
                     (int)rest.is.dict->pair->key.is.text->n, rest.is.dict->pair->key.is.text->s);
    if (node->flags & BB_VARARGS) {
        const bb_value more = bb_list_new(&r->w, BB_TUPLE);
        for (; n < arguments->n; n++) bb_list_push(&r->w, more, arguments->value[n]);
        bb_scope_set(r, r->scope, r->syntax->varargs, more);
    } else if (arguments->n > n) {
        bb_work_fail(&r->w, BAMBA_ERR_FORMAT, "macro '%.*s' takes %zu arguments, found %zu",
                     (int)node->text->n, node->text->s, n, arguments->n);
    }
}

bb_value bb_call_macro(bb_render *r, const bb_macro *m, const bb_arguments *arguments)
{
    bb_scope *const outer = r->scope;
    const bb_value  rest = bb_dict_new(&r->w);
    bb_value        out = BB_VALUE(BB_UNDEFINED);
    jump            j;

    for (size_t i = 0; i < arguments->n_named && !failed(r); i++)
        bb_dict_set(&r->w, rest.is.dict, arguments->named[i].key, arguments->named[i].value);
    bb_scope *inner = bb_scope_new(r, m->scope);
    if (!inner || !bb_enter(&r->w)) return out;
    r->scope = inner;
    bind_parameters(r, m->node, arguments, rest);
    bind_special(r, m, arguments, rest);
    out = capture(r, m->node->b, inner, &j);
    r->scope = outer;
    bb_leave(&r->w);
    return out;
}

static void run_call_block(bb_render *r, const bb_node *node)
{
    bb_node *const call = node->a;
    bb_node        caller = { .kind = BB_N_CONST, .line = node->line, .column = node->column,
                              .value = make_macro(r, node->b) };
    bb_node        keyword = { .kind = BB_N_KEYWORD, .text = r->syntax->caller, .a = &caller,
                               .next = call->call->named };
    bb_call        with_caller = *call->call;
    bb_node        with = *call;

    with_caller.named = &keyword;
    with.call = &with_caller;
    bb_put(r->out, bb_string(&r->w, bb_evaluate(r, &with)));
}

/* -------------------------------------------------------------- statements --------------- */

static jump run_if(bb_render *r, const bb_node *node)
{
    for (const bb_node *i = node->a; i && !failed(r); i = i->next)
        if (!i->a || bb_truth(bb_evaluate(r, i->a))) return failed(r) ? ON : run_body(r, i->b);
    return ON;
}

static jump run_capture(bb_render *r, const bb_node *node)
{
    jump           j;
    const bb_value text = capture(r, node->b, bb_scope_new(r, r->scope), &j);

    if (j != ON || failed(r)) return j;
    const bb_value v = bb_apply_filters(r, node->c, text);
    if (node->kind == BB_N_CAPTURE) bb_assign(r, node->a, v);
    else bb_put(r->out, bb_string(&r->w, v));
    return ON;
}

static jump run_with(bb_render *r, const bb_node *node)
{
    bb_scope *const outer = r->scope;
    bb_scope       *inner = bb_scope_new(r, outer);

    if (!inner) return ON;
    for (const bb_node *i = node->a; i && !failed(r); i = i->next) {
        const bb_value v = bb_evaluate(r, i->b);
        r->scope = inner;
        bb_assign(r, i->a, v);
        r->scope = outer;
    }
    return run_inside(r, node->b, inner);
}

static jump run(bb_render *r, const bb_node *node)
{
    switch (node->kind) {
    case BB_N_DATA:  bb_put(r->out, node->value.is.text); return ON;
    case BB_N_PRINT: {
        const bb_value v = node->a ? bb_evaluate(r, node->a) : BB_VALUE(BB_UNDEFINED);
        if (!failed(r)) bb_put(r->out, bb_string(&r->w, v));
        return ON;
    }
    case BB_N_IF:         return run_if(r, node);
    case BB_N_FOR:        return run_for(r, node);
    case BB_N_SET:        bb_assign(r, node->a, bb_evaluate(r, node->b)); return ON;
    case BB_N_CAPTURE:
    case BB_N_FILTER_BLOCK: return run_capture(r, node);
    case BB_N_MACRO:      bb_scope_set(r, r->scope, node->text, make_macro(r, node)); return ON;
    case BB_N_CALL_BLOCK: run_call_block(r, node); return ON;
    case BB_N_WITH:       return run_with(r, node);
    case BB_N_GENERATION: return run_inside(r, node->b, bb_scope_new(r, r->scope));
    case BB_N_BREAK:      return BREAK;
    default:              return CONTINUE;
    }
}

static jump run_body(bb_render *r, const bb_node *body)
{
    jump j = ON;

    if (!bb_enter(&r->w)) return ON;
    for (const bb_node *i = body; i && j == ON && bb_step(&r->w, 1); i = i->next) j = run(r, i);
    bb_leave(&r->w);
    return j;
}

void bb_run(bb_render *r, const bb_syntax *syntax)
{
    r->syntax = syntax;
    r->scope = bb_scope_new(r, NULL);
    if (r->scope) run_inside(r, syntax->body, r->scope);
}
