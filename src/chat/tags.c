/* tags.c - parsing the tags of templates, {% if %} and its kin, and the bodies between them; with
 * the extensions that transformers adds: break and continue, and {% generation %}. */
#include "chat/parser.h"

/* -------------------------------------------------------------- bodies ------------------- */

/* A body in a frame of variables of its own, up to `end`, in which break and continue still mean
   the loops around it. */
static bb_node *parse_scoped_body(bb_parser *p, const char *end)
{
    const bool soft = p->is_soft;
    const char *const ends[] = { end, NULL };

    p->is_soft = false;
    bb_expect_end(p);
    bb_node *body = bb_close_frame(p, bb_parse_body(p, ends));
    bb_expect_name(p, end);
    p->is_soft = soft;
    return body;
}

/* The statements of a construct whose names and loops are its own, a macro's or a caller's, up to a
   tag; they end the frame that was opened for its parameters. */
static bb_node *parse_closed_body(bb_parser *p, const char *end)
{
    const int loops = p->n_loops;

    p->n_loops = 0;
    bb_node *body = parse_scoped_body(p, end);
    p->n_loops = loops;
    return body;
}

/* -------------------------------------------------------------- statements --------------- */

static bb_node *parse_if(bb_parser *p, const bb_token *t)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    static const char *const last[] = { "endif", NULL };
    bb_node        *node = bb_node_new(p, BB_N_IF, t);
    bb_node       **tail = node ? &node->a : NULL;
    const bool      soft = p->is_soft;
    const bb_token *at = t;
    bool            is_else = false;

    p->is_soft = true;
    do {
        bb_node *branch = bb_node_new(p, BB_N_BRANCH, at);
        if (!branch) break;
        if (!is_else) branch->a = bb_parse_tuple(p, false, NULL);
        bb_skip_op(p, ':');
        bb_expect_end(p);
        if (p->frame) p->frame->n_branches++;
        branch->b = bb_parse_body(p, is_else ? last : ends);
        if (p->frame) p->frame->n_branches--;
        bb_append(&tail, branch);
        at = p->at;
        if (is_else || p->w->status != BAMBA_OK) break;
        is_else = bb_at_name(p, "else");
    } while (bb_skip_name(p, "elif") || bb_skip_name(p, "else"));
    p->is_soft = soft;
    bb_expect_name(p, "endif");
    return node;
}

/* Names that a body begins with: they have values. */
static void know_target(bb_parser *p, const bb_node *target)
{
    if (p->frame) p->frame->n_branches++;
    bb_note_target(p, target);
    if (p->frame) p->frame->n_branches--;
}

static bb_node *parse_for(bb_parser *p, const bb_token *t)
{
    static const char *const ends[] = { "endfor", "else", NULL };
    bb_node *node = bb_node_new(p, BB_N_FOR, t);
    const bool soft = p->is_soft;

    if (!node) return NULL;
    node->a = bb_parse_target(p, "in", false);
    if (node->a && node->a->kind == BB_N_NAME && bb_passage_is(node->a->text, "loop")) {
        bb_locate(p, t);
        bb_work_fail(p->w, BAMBA_ERR_FORMAT, "a loop cannot assign to 'loop'");
    }
    bb_expect_name(p, "in");
    node->b = bb_parse_tuple(p, false, "recursive");
    if (bb_skip_name(p, "if")) {
        bb_open_frame(p, t);                 /* the condition's own */
        node->c = bb_parse_expression(p);
        bb_close_frame(p, NULL);
    }
    if (bb_skip_name(p, "recursive")) node->flags = BB_RECURSIVE;
    bb_skip_op(p, ':');
    p->is_soft = false;
    bb_expect_end(p);
    p->n_loops++;
    bb_open_frame(p, t);
    know_target(p, node->a);
    node->d = bb_close_frame(p, bb_parse_body(p, ends));
    p->n_loops--;
    if (bb_skip_name(p, "else")) {
        bb_skip_op(p, ':');
        bb_expect_end(p);
        bb_open_frame(p, t);
        node->e = bb_close_frame(p, bb_parse_body(p, (const char *const[]){ "endfor", NULL }));
    }
    bb_expect_name(p, "endfor");
    p->is_soft = soft;
    return node;
}

static bb_node *parse_set(bb_parser *p, const bb_token *t)
{
    bb_node *node = bb_node_new(p, BB_N_SET, t);

    if (!node) return NULL;
    node->a = bb_parse_target(p, NULL, true);
    if (bb_skip_op(p, '=')) {
        node->b = bb_parse_tuple(p, true, NULL);
        bb_note_target(p, node->a);
        return node;
    }
    node->kind = BB_N_CAPTURE;
    bb_note_target(p, node->a);
    bb_open_frame(p, t);
    node->c = bb_parse_filters(p, false);
    node->b = parse_scoped_body(p, "endset");
    return node;
}

/* The special variables that a list of parameters has names of. */
static unsigned parameters_named(const bb_node *macro)
{
    unsigned bits = 0;

    for (const bb_node *i = macro->a; i; i = i->next) bits |= bb_special_bit(i->text);
    return bits;
}

/* A macro's body, and which of the special variables it uses. To Jinja, a macro that uses one
   inside another one uses it in both. */
static void parse_macro_body(bb_parser *p, bb_node *macro, const char *end)
{
    const unsigned uses = p->uses, assigns = p->assigns, named = parameters_named(macro);

    p->uses = p->assigns = 0;
    macro->b = parse_closed_body(p, end);
    macro->flags = (uint8_t)(p->uses & (~named | BB_CALLER));
    for (const bb_node *i = macro->a; i; i = i->next)
        if (p->uses & bb_special_bit(i->text) & BB_CALLER && !i->a) {
            p->w->line = i->line;
            p->w->column = i->column;
            bb_work_fail(p->w, BAMBA_ERR_FORMAT, "a parameter 'caller' must have a default");
        }
    p->uses = uses | (p->uses & ~assigns);
    p->assigns |= assigns;
}

/* Parameters in parentheses, into list a. */
static void parse_parameters(bb_parser *p, bb_node *macro)
{
    bb_node **tail = &macro->a;
    bool      optional = false;

    bb_expect_op(p, '(');
    while (p->w->status == BAMBA_OK && !bb_at_op(p, ')')) {
        bb_node *parameter = bb_node_new(p, BB_N_PARAMETER, p->at);
        if (!parameter) return;
        parameter->text = bb_take_name(p);
        if (!parameter->text) return;
        bb_note_name(p, parameter->text, false);
        bb_note_special(p, parameter->text, true);
        if (bb_skip_op(p, '=')) {
            optional = true;
            parameter->a = bb_parse_expression(p);
        } else if (optional) {
            bb_expected(p, "a default, since the parameter before has one");
        }
        bb_append(&tail, parameter);
        if (!bb_skip_op(p, ',')) break;
    }
    bb_expect_op(p, ')');
}

static bb_node *parse_macro(bb_parser *p, const bb_token *t)
{
    bb_node *node = bb_node_new(p, BB_N_MACRO, t);

    if (!node) return NULL;
    node->text = bb_take_name(p);
    if (!node->text) return NULL;
    bb_note_name(p, node->text, true);
    bb_open_frame(p, t);
    parse_parameters(p, node);
    bb_skip_op(p, ':');
    parse_macro_body(p, node, "endmacro");
    return node;
}

static bb_node *parse_call_block(bb_parser *p, const bb_token *t)
{
    bb_node *node = bb_node_new(p, BB_N_CALL_BLOCK, t);
    bb_node *macro = bb_node_new(p, BB_N_MACRO, t);

    if (!node || !macro) return NULL;
    macro->text = bb_passage_of(p->w, "caller", 6);
    bb_frame *const outer = p->frame;
    bb_open_frame(p, t);
    if (bb_at_op(p, '(')) parse_parameters(p, macro);
    bb_frame *const inner = p->frame;
    p->frame = outer;                     /* the call is not the caller's */
    node->a = bb_parse_expression(p);
    p->frame = inner;
    node->b = macro;
    if (node->a && node->a->kind != BB_N_CALL) {
        bb_locate(p, t);
        bb_work_fail(p->w, BAMBA_ERR_FORMAT, "expected a call");
    }
    bb_skip_op(p, ':');
    parse_macro_body(p, macro, "endcall");
    macro->flags |= BB_NAMELESS;
    return node;
}

static bb_node *parse_filter_block(bb_parser *p, const bb_token *t)
{
    bb_node *node = bb_node_new(p, BB_N_FILTER_BLOCK, t);

    if (!node) return NULL;
    node->c = bb_parse_filters(p, true);
    bb_skip_op(p, ':');
    bb_open_frame(p, t);
    node->b = parse_scoped_body(p, "endfilter");
    return node;
}

static bb_node *parse_with(bb_parser *p, const bb_token *t)
{
    bb_node  *node = bb_node_new(p, BB_N_WITH, t);
    bb_node **tail = node ? &node->a : NULL;

    while (p->w->status == BAMBA_OK && p->at->kind != BB_T_BLOCK_END && !bb_at_op(p, ':')) {
        bb_node *set = bb_node_new(p, BB_N_SET, p->at);
        if (!set) return NULL;
        set->a = bb_parse_target(p, NULL, false);
        bb_expect_op(p, '=');
        set->b = bb_parse_expression(p);
        bb_append(&tail, set);
        if (!bb_skip_op(p, ',')) break;
    }
    bb_skip_op(p, ':');
    if (!node) return NULL;
    bb_open_frame(p, t);
    for (const bb_node *i = node->a; i; i = i->next) know_target(p, i->a);
    node->b = parse_scoped_body(p, "endwith");
    return node;
}

static bb_node *parse_generation(bb_parser *p, const bb_token *t)
{
    bb_node *node = bb_node_new(p, BB_N_GENERATION, t);

    bb_open_frame(p, t);
    if (node) node->b = parse_closed_body(p, "endgeneration");
    return node;
}

/* Expressions with commas between them, each printed. */
static bb_node *parse_print(bb_parser *p, const bb_token *t)
{
    bb_node *node = bb_node_new(p, BB_N_PRINT, t);

    if (!node || p->at->kind == BB_T_BLOCK_END) return node;
    node->a = bb_parse_expression(p);
    if (bb_at_op(p, ',')) bb_unsupported(p, p->at, "printing several values");
    return node;
}

static bb_node *parse_jump(bb_parser *p, const bb_token *t)
{
    const bool is_break = bb_passage_is(t->text, "break");

    if (p->n_loops == 0) {
        bb_locate(p, t);
        bb_work_fail(p->w, BAMBA_ERR_FORMAT, "'%s' outside of a loop",
                     is_break ? "break" : "continue");
    }
    return bb_node_new(p, is_break ? BB_N_BREAK : BB_N_CONTINUE, t);
}

static bb_node *parse_unsupported(bb_parser *p, const bb_token *t)
{
    char what[40];

    memcpy(what, "the statement ", 14);
    memcpy(what + 14, t->text->s, t->text->n);
    what[14 + t->text->n] = '\0';
    bb_unsupported(p, t, what);
    return NULL;
}

static bb_node *parse_statement(bb_parser *p)
{
    static const struct {
        const char *name;
        bb_node  *(*parse)(bb_parser *, const bb_token *);
    } statements[] = {
        { "if", parse_if }, { "for", parse_for }, { "set", parse_set }, { "macro", parse_macro },
        { "call", parse_call_block }, { "filter", parse_filter_block }, { "with", parse_with },
        { "generation", parse_generation }, { "print", parse_print }, { "break", parse_jump },
        { "continue", parse_jump }, { "block", parse_unsupported },
        { "extends", parse_unsupported }, { "include", parse_unsupported },
        { "import", parse_unsupported }, { "from", parse_unsupported },
        { "autoescape", parse_unsupported },
    };
    const bb_token *t = p->at;

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (bb_skip_name(p, statements[i].name)) return statements[i].parse(p, t);
    bb_expected(p, "a statement");
    return NULL;
}

static bb_node *parse_output(bb_parser *p)
{
    const bb_token *t = p->at++;
    bb_node        *node = bb_node_new(p, BB_N_PRINT, t);

    if (node) node->a = bb_parse_tuple(p, true, NULL);
    if (p->at->kind == BB_T_VARIABLE_END) p->at++;
    else bb_expected(p, "'}}'");
    return node;
}

static bb_node *parse_data(bb_parser *p)
{
    bb_node *node = bb_node_new(p, BB_N_DATA, p->at);

    if (node) node->value = bb_text(p->at->text);
    p->at++;
    return node;
}

static void check_unknown(bb_parser *p)
{
    const bb_token *t = p->unknown;

    if (!t) return;
    bb_locate(p, t);
    bb_work_fail(p->w, BAMBA_ERR_FORMAT, "there is no filter or test '%.*s'",
                 t->text->n < 80 ? (int)t->text->n : 80, t->text->s);
}

/* Whether one of the names stands in the tag that begins at the scanner. */
static bool at_end(const bb_parser *p, const char *const *ends)
{
    for (; p->at[1].kind == BB_T_NAME && *ends; ends++)
        if (bb_passage_is(p->at[1].text, *ends)) return true;
    return false;
}

bb_node *bb_parse_body(bb_parser *p, const char *const *ends)
{
    bb_node  *first = NULL;
    bb_node **tail = &first;

    if (!bb_enter(p->w)) return NULL;
    while (p->w->status == BAMBA_OK && p->at->kind != BB_T_END) {
        bb_node *node;
        if (p->at->kind == BB_T_DATA) {
            node = parse_data(p);
        } else if (p->at->kind == BB_T_VARIABLE_BEGIN) {
            node = parse_output(p);
        } else {
            if (ends && at_end(p, ends)) break;
            p->at++;
            node = parse_statement(p);
            bb_expect_end(p);
        }
        check_unknown(p);
        bb_append(&tail, node);
    }
    if (ends && p->w->status == BAMBA_OK) {
        if (p->at->kind == BB_T_END) bb_expected(p, ends[0]);
        else p->at++;
    }
    bb_leave(p->w);
    return first;
}
