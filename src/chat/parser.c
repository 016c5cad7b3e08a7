/* parser.c - what parsing tags and expressions share: tokens, nodes, and the variables of each
 * body; the grammar is that of jinja2/parser.py. */
#include "chat/parser.h"

/* -------------------------------------------------------------- tokens ------------------- */

void bb_locate(bb_parser *p, const bb_token *t)
{
    if (p->w->status != BAMBA_OK) return;
    p->w->line = t->line;
    p->w->column = t->column;
}

bool bb_at_op(const bb_parser *p, int op)
{
    return p->at->kind == BB_T_OPERATOR && p->at->op == op;
}

bool bb_at_name(const bb_parser *p, const char *name)
{
    return p->at->kind == BB_T_NAME && bb_passage_is(p->at->text, name);
}

bool bb_skip_op(bb_parser *p, int op)
{
    const bool there = bb_at_op(p, op);
    p->at += there;
    return there;
}

bool bb_skip_name(bb_parser *p, const char *name)
{
    const bool there = bb_at_name(p, name);
    p->at += there;
    return there;
}

void bb_expected(bb_parser *p, const char *what)
{
    static const char *const kinds[] = {
        [BB_T_END] = "the end of the template", [BB_T_DATA] = "text",
        [BB_T_BLOCK_BEGIN] = "'{%'", [BB_T_BLOCK_END] = "'%}'",
        [BB_T_VARIABLE_BEGIN] = "'{{'", [BB_T_VARIABLE_END] = "'}}'",
        [BB_T_STRING] = "a string", [BB_T_NUMBER] = "a number"
    };
    const bb_token *t = p->at;
    char            found[8];

    bb_locate(p, t);
    if (t->kind == BB_T_NAME) {
        bb_work_fail(p->w, BAMBA_ERR_FORMAT, "expected %s, found '%.*s'", what,
                     t->text->n < 80 ? (int)t->text->n : 80, t->text->s);
        return;
    }
    static const char pairs[] = "**//==!=<=>=";
    const bool        pair = t->kind == BB_T_OPERATOR && t->op >= BB_OP_POWER;
    memcpy(found, "' '\0", 5);
    if (pair) memcpy(found + 1, pairs + 2 * (t->op - BB_OP_POWER), 2), memcpy(found + 3, "'", 2);
    else found[1] = (char)t->op;
    bb_work_fail(p->w, BAMBA_ERR_FORMAT, "expected %s, found %s", what,
                 t->kind == BB_T_OPERATOR ? found : kinds[t->kind]);
}

void bb_unsupported(bb_parser *p, const bb_token *at, const char *what)
{
    bb_locate(p, at);
    bb_work_fail(p->w, BAMBA_ERR_UNSUPPORTED, "%s is not supported", what);
}

void bb_expect_op(bb_parser *p, int op)
{
    const char what[] = { '\'', (char)op, '\'', '\0' };

    if (p->w->status == BAMBA_OK && !bb_skip_op(p, op)) bb_expected(p, what);
}

void bb_expect_name(bb_parser *p, const char *name)
{
    if (p->w->status == BAMBA_OK && !bb_skip_name(p, name)) bb_expected(p, name);
}

void bb_expect_end(bb_parser *p)
{
    if (p->w->status != BAMBA_OK) return;
    if (p->at->kind == BB_T_BLOCK_END) p->at++;
    else bb_expected(p, "'%}'");
}

/* -------------------------------------------------------------- nodes -------------------- */

bb_node *bb_node_new(bb_parser *p, bb_node_kind kind, const bb_token *at)
{
    bb_node *node = bb_work_take(p->w, 1, sizeof *node);

    if (node) *node = (bb_node){ .kind = (uint8_t)kind, .line = at->line, .column = at->column };
    return node;
}

void bb_append(bb_node ***tail, bb_node *node)
{
    if (!*tail || !node) return;
    **tail = node;
    *tail = &node->next;
}

const bb_passage *bb_intern(bb_parser *p, const bb_passage *name)
{
    for (const bb_node *i = p->names; i && bb_step(p->w, 1); i = i->next)
        if (bb_passage_equal(i->text, name)) return i->text;
    bb_node *node = bb_node_new(p, BB_N_NAME, p->at);
    if (!node) return name;
    node->text = name;
    node->next = p->names;
    p->names = node;
    return name;
}

const bb_passage *bb_take_name(bb_parser *p)
{
    if (p->at->kind != BB_T_NAME) {
        bb_expected(p, "a name");
        return NULL;
    }
    return bb_intern(p, p->at++->text);
}

/* -------------------------------------------------------------- frames ------------------- */

void bb_open_frame(bb_parser *p, const bb_token *at)
{
    bb_frame *f = bb_work_take(p->w, 1, sizeof *f);

    if (!f) return;
    *f = (bb_frame){ .outer = p->frame, .before = p->frames,
                     .body = bb_node_new(p, BB_N_BODY, at) };
    p->frame = p->frames = f;
}

bb_node *bb_close_frame(bb_parser *p, bb_node *list)
{
    bb_node *body = p->frame ? p->frame->body : NULL;

    if (body) body->a = list;
    if (p->frame) p->frame = p->frame->outer;
    return body;
}

static bool knows(const bb_frame *f, const bb_passage *name)
{
    for (const bb_node *i = f->names; i; i = i->next)
        if (i->text == name) return true;
    return false;
}

void bb_note_name(bb_parser *p, const bb_passage *name, bool assigned)
{
    bb_frame *f = p->frame;

    for (const bb_node *i = f ? f->names : NULL; i && bb_step(p->w, 1); i = i->next)
        if (i->text == name) return;
    bb_node *node = f ? bb_node_new(p, BB_N_NAME, p->at) : NULL;
    if (!node) return;
    node->text = name;
    node->flags = assigned && f->n_branches == 0 ? BB_ASSIGNED : 0;
    node->next = f->names;
    f->names = node;
}

void bb_note_target(bb_parser *p, const bb_node *target)
{
    if (!target || p->w->status != BAMBA_OK) return;
    if (target->kind == BB_N_NAME) bb_note_name(p, target->text, true);
    for (const bb_node *i = target->kind == BB_N_TUPLE ? target->a : NULL; i; i = i->next)
        bb_note_target(p, i);
}

unsigned bb_special_bit(const bb_passage *name)
{
    if (bb_passage_is(name, "varargs")) return BB_VARARGS;
    if (bb_passage_is(name, "kwargs")) return BB_KWARGS;
    return bb_passage_is(name, "caller") ? BB_CALLER : 0;
}

void bb_note_special(bb_parser *p, const bb_passage *name, bool assigned)
{
    const unsigned bit = bb_special_bit(name);

    if (assigned) p->assigns |= bit;
    else p->uses |= bit & ~p->assigns;
}

/* Once all is parsed: give each body the variables that begin undefined in it. */
static void find_fresh(bb_parser *p)
{
    for (const bb_frame *f = p->frames; f; f = f->before)
        for (bb_node *i = f->names, *next; i && p->w->status == BAMBA_OK; i = next) {
            bool known = !(i->flags & BB_ASSIGNED) || !f->body;
            for (const bb_frame *o = f->outer; o && !known && bb_step(p->w, 1); o = o->outer)
                known = knows(o, i->text);
            next = i->next;
            if (known) continue;
            bb_node *fresh = bb_node_new(p, BB_N_NAME, p->at);
            if (!fresh) return;
            fresh->text = i->text;
            fresh->next = f->body->b;
            f->body->b = fresh;
        }
}

/* -------------------------------------------------------------- a template --------------- */

bool bb_parse(bb_work *w, bb_syntax *out, const char *text, size_t n)
{
    bb_parser p = { .w = w };

    *out = (bb_syntax){ 0 };
    p.at = bb_lex(w, text, n);
    if (!p.at) return false;
    out->loop = bb_intern(&p, bb_passage_of(w, "loop", 4));
    out->caller = bb_intern(&p, bb_passage_of(w, "caller", 6));
    out->kwargs = bb_intern(&p, bb_passage_of(w, "kwargs", 6));
    out->varargs = bb_intern(&p, bb_passage_of(w, "varargs", 7));
    bb_open_frame(&p, p.at);
    out->body = bb_close_frame(&p, bb_parse_body(&p, NULL));
    find_fresh(&p);
    return w->status == BAMBA_OK;
}
