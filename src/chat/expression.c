/* expression.c - expressions of templates: the grammar of jinja2/parser.py. */
#include "chat/builtin.h"
#include "chat/parser.h"

static bb_node *parse_unary(bb_parser *p, bool with_filters);
static bb_node *parse_postfix(bb_parser *p, bb_node *node);

static bool failed(const bb_parser *p)
{
    return p->w->status != BAMBA_OK;
}

static bb_node *make(bb_parser *p, bb_node_kind kind, const bb_token *at, bb_node *a, bb_node *b)
{
    bb_node *node = bb_node_new(p, kind, at);

    if (node) {
        node->a = a;
        node->b = b;
    }
    return node;
}

static bb_node *make_const(bb_parser *p, const bb_token *at, bb_value value)
{
    bb_node *node = bb_node_new(p, BB_N_CONST, at);

    if (node) node->value = value;
    return node;
}

/* -------------------------------------------------------------- primaries ---------------- */

static bool is_word(const bb_token *t, const char *one, const char *other)
{
    return bb_passage_is(t->text, one) || bb_passage_is(t->text, other);
}

static bb_node *parse_name(bb_parser *p, bool members)
{
    const bb_token *t = p->at++;
    bb_node        *node;

    if (is_word(t, "true", "True")) return make_const(p, t, bb_bool(true));
    if (is_word(t, "false", "False")) return make_const(p, t, bb_bool(false));
    if (is_word(t, "none", "None")) return make_const(p, t, BB_VALUE(BB_NONE));
    node = bb_node_new(p, BB_N_NAME, t);
    if (!node) return NULL;
    node->text = bb_intern(p, t->text);
    bb_note_special(p, t->text, p->is_target);
    if (!p->is_target) bb_note_name(p, node->text, false);
    if (!members || !bb_skip_op(p, '.')) return node;
    bb_note_name(p, node->text, false);
    if (p->at->kind != BB_T_NAME) {
        bb_expected(p, "a name");
        return NULL;
    }
    node->kind = BB_N_MEMBER;
    node->value = bb_text(p->at++->text);
    return node;
}

/* Literals in a row are one. */
static bb_node *parse_strings(bb_parser *p)
{
    const bb_token *t = p->at++;
    bb_builder      b = bb_builder_begin(p->w);

    if (p->at->kind != BB_T_STRING) return make_const(p, t, bb_text(t->text));
    bb_put(&b, t->text);
    while (p->at->kind == BB_T_STRING) bb_put(&b, p->at++->text);
    return make_const(p, t, bb_text(bb_builder_text(&b)));
}

static bb_node *parse_list(bb_parser *p)
{
    bb_node  *node = bb_node_new(p, BB_N_LIST, p->at++);
    bb_node **tail = node ? &node->a : NULL;

    while (!failed(p) && !bb_at_op(p, ']')) {
        bb_append(&tail, bb_parse_expression(p));
        if (!bb_skip_op(p, ',')) break;
    }
    bb_expect_op(p, ']');
    return node;
}

static bb_node *parse_dict(bb_parser *p)
{
    bb_node  *node = bb_node_new(p, BB_N_DICT, p->at++);
    bb_node **tail = node ? &node->a : NULL;

    while (!failed(p) && !bb_at_op(p, '}')) {
        const bb_token *t = p->at;
        bb_node        *key = bb_parse_expression(p);
        bb_expect_op(p, ':');
        bb_append(&tail, make(p, BB_N_PAIR, t, key, bb_parse_expression(p)));
        if (!bb_skip_op(p, ',')) break;
    }
    bb_expect_op(p, '}');
    return node;
}

/* A tuple's elements up to a closing parenthesis, the end of the tag, or a name. */
static bb_node *parse_elements(bb_parser *p, bb_node *(*parse)(bb_parser *), const char *end,
                               bool may_be_empty)
{
    const bb_token *t = p->at;
    bb_node        *first = NULL;
    bb_node       **tail = &first;
    bool            is_tuple = false;

    while (!failed(p)) {
        if (p->at->kind == BB_T_VARIABLE_END || p->at->kind == BB_T_BLOCK_END ||
            bb_at_op(p, ')') || (end && bb_at_name(p, end)))
            break;
        bb_append(&tail, parse(p));
        if (!bb_skip_op(p, ',')) break;
        is_tuple = true;
    }
    if (!is_tuple && first) return first;
    if (!is_tuple && !may_be_empty) {
        bb_expected(p, "an expression");
        return NULL;
    }
    return make(p, BB_N_TUPLE, t, first, NULL);
}

static bb_node *parse_primary(bb_parser *p, bool members)
{
    const bb_token *t = p->at;
    bb_node        *node = NULL;

    if (!bb_enter(p->w)) return NULL;
    if (t->kind == BB_T_NAME) node = parse_name(p, members);
    else if (t->kind == BB_T_STRING) node = parse_strings(p);
    else if (t->kind == BB_T_NUMBER) node = make_const(p, p->at++, t->number);
    else if (bb_at_op(p, '[')) node = parse_list(p);
    else if (bb_at_op(p, '{')) node = parse_dict(p);
    else if (bb_skip_op(p, '(')) {
        node = parse_elements(p, bb_parse_expression, NULL, true);
        bb_expect_op(p, ')');
    } else bb_expected(p, "an expression");
    bb_leave(p->w);
    return node;
}

/* -------------------------------------------------------------- calls, filters ----------- */

static bool parse_argument(bb_parser *p, bb_call *c, bb_node ***tail, bb_node ***named)
{
    const bb_token *t = p->at;

    if (bb_at_op(p, '*') && !c->star && !c->stars) {
        p->at++;
        c->star = bb_parse_expression(p);
    } else if (bb_at_op(p, BB_OP_POWER) && !c->stars) {
        p->at++;
        c->stars = bb_parse_expression(p);
    } else if (t->kind == BB_T_NAME && t[1].kind == BB_T_OPERATOR && t[1].op == '=' && !c->stars) {
        p->at += 2;
        bb_node *keyword = make(p, BB_N_KEYWORD, t, bb_parse_expression(p), NULL);
        if (keyword) keyword->text = bb_intern(p, t->text);
        bb_append(named, keyword);
    } else if (!c->star && !c->stars && !c->named) {
        bb_append(tail, bb_parse_expression(p));
    } else {
        bb_expected(p, "a named argument");
    }
    return !failed(p);
}

/* Arguments in parentheses. */
static bb_call *parse_arguments(bb_parser *p)
{
    bb_call *c = bb_work_take(p->w, 1, sizeof *c);

    if (!c) return NULL;
    *c = (bb_call){ 0 };
    bb_node **tail = &c->positional, **named = &c->named;
    bb_expect_op(p, '(');
    while (!failed(p) && !bb_at_op(p, ')')) {
        if (!parse_argument(p, c, &tail, &named)) return NULL;
        if (!bb_skip_op(p, ',')) break;
    }
    bb_expect_op(p, ')');
    return c;
}

/* Find the filter or test that a node names. Of names that Jinja does not know either, those in
   branches of a choice fail when they are used, the others at the end of the statement. */
static void look_up(bb_parser *p, bb_node *node, const bb_token *t, bool is_test)
{
    const char *what = is_test ? "test" : "filter";

    node->text = t->text;
    node->builtin = bb_builtin_find(is_test ? bb_tests : bb_filters, t->text);
    if (node->builtin) return;
    p->w->line = t->line;
    p->w->column = t->column;
    if (bb_builtin_is_known(is_test, t->text))
        bb_work_fail(p->w, BAMBA_ERR_UNSUPPORTED, "the %s '%.*s' is not supported", what,
                     (int)t->text->n, t->text->s);
    else if (!p->is_soft && !p->unknown)
        p->unknown = t;
}

bb_node *bb_parse_filters(bb_parser *p, bool named)
{
    bb_node *node = NULL;

    while (!failed(p) && (named || bb_skip_op(p, '|'))) {
        const bb_token *t = p->at;
        named = false;
        if (t->kind != BB_T_NAME) {
            bb_expected(p, "the name of a filter");
            return NULL;
        }
        p->at++;
        node = make(p, BB_N_FILTER, t, node, NULL);
        if (node) look_up(p, node, t, false);
        if (node && bb_at_op(p, '(')) node->call = parse_arguments(p);
    }
    return node;
}

static bb_node *parse_filter(bb_parser *p, bb_node *input)
{
    bb_node *outer = bb_parse_filters(p, false);
    bb_node *inner = outer;

    while (inner && inner->a) inner = inner->a;
    if (inner) inner->a = input;
    return outer;
}

/* What may stand behind a test's name without parentheses. */
static bool begins_argument(const bb_parser *p)
{
    if (p->at->kind == BB_T_STRING || p->at->kind == BB_T_NUMBER) return true;
    if (bb_at_op(p, '[') || bb_at_op(p, '{')) return true;
    return p->at->kind == BB_T_NAME && !bb_at_name(p, "else") && !bb_at_name(p, "or") &&
           !bb_at_name(p, "and");
}

static bb_node *parse_test(bb_parser *p, bb_node *input)
{
    const bb_token *is = p->at++;
    const bool      negated = bb_skip_name(p, "not");
    const bb_token *t = p->at;

    if (t->kind != BB_T_NAME) {
        bb_expected(p, "the name of a test");
        return NULL;
    }
    p->at++;
    bb_node *node = make(p, BB_N_TEST, t, input, NULL);
    if (!node) return NULL;
    look_up(p, node, t, true);
    if (bb_at_op(p, '(')) {
        node->call = parse_arguments(p);
    } else if (begins_argument(p)) {
        if (bb_at_name(p, "is")) bb_expected(p, "an end, since tests cannot be chained");
        node->call = bb_work_take(p->w, 1, sizeof *node->call);
        bb_node *argument = parse_postfix(p, parse_primary(p, false));
        if (node->call) *node->call = (bb_call){ .positional = argument };
    }
    return negated ? make(p, BB_N_NOT, is, node, NULL) : node;
}

/* -------------------------------------------------------------- postfix ------------------ */

static bb_node *parse_brackets(bb_parser *p, bb_node *node)
{
    const bb_token *t = p->at++;
    bb_node        *begin = NULL;
    bb_node        *slice;

    if (!bb_at_op(p, ':')) {
        begin = bb_parse_expression(p);
        if (bb_skip_op(p, ']')) return make(p, BB_N_ITEM, t, node, begin);
    }
    if (bb_at_op(p, ',')) bb_unsupported(p, p->at, "an index of several parts");
    bb_expect_op(p, ':');
    slice = make(p, BB_N_SLICE, t, node, begin);
    if (!slice) return NULL;
    if (!bb_at_op(p, ':') && !bb_at_op(p, ']')) slice->c = bb_parse_expression(p);
    if (bb_skip_op(p, ':') && !bb_at_op(p, ']')) slice->d = bb_parse_expression(p);
    bb_expect_op(p, ']');
    return slice;
}

static bb_node *parse_dot(bb_parser *p, bb_node *node)
{
    const bb_token *dot = p->at++;
    const bb_token *t = p->at++;

    if (t->kind == BB_T_NUMBER && t->number.kind == BB_INT)
        return make(p, BB_N_ITEM, dot, node, make_const(p, t, t->number));
    if (t->kind != BB_T_NAME) {
        p->at--;
        bb_expected(p, "a name or a number");
        return NULL;
    }
    node = make(p, BB_N_ATTRIBUTE, dot, node, NULL);
    if (node) node->text = t->text;
    return node;
}

static bb_node *parse_call(bb_parser *p, bb_node *callee)
{
    bb_node *node = make(p, BB_N_CALL, p->at, callee, NULL);

    if (node) node->call = parse_arguments(p);
    return node;
}

static bb_node *parse_postfix(bb_parser *p, bb_node *node)
{
    while (!failed(p)) {
        if (bb_at_op(p, '.')) node = parse_dot(p, node);
        else if (bb_at_op(p, '[')) node = parse_brackets(p, node);
        else if (bb_at_op(p, '(')) node = parse_call(p, node);
        else break;
    }
    return node;
}

/* -------------------------------------------------------------- operators ---------------- */

static bb_node *parse_unary(bb_parser *p, bool with_filters)
{
    const bb_token *t = p->at;
    bb_node        *node;

    if (!bb_enter(p->w)) return NULL;
    if (bb_skip_op(p, '-')) node = make(p, BB_N_MINUS, t, parse_unary(p, false), NULL);
    else if (bb_skip_op(p, '+')) node = make(p, BB_N_PLUS, t, parse_unary(p, false), NULL);
    else node = parse_primary(p, false);
    node = parse_postfix(p, node);
    while (with_filters && !failed(p)) {
        if (bb_at_op(p, '|')) node = parse_filter(p, node);
        else if (bb_at_name(p, "is")) node = parse_test(p, node);
        else if (bb_at_op(p, '(')) node = parse_call(p, node);
        else break;
    }
    bb_leave(p->w);
    return node;
}

/* Operators of three levels, from the strongest: power, products, sums; "~" stands between the
   last two. */
static bb_node *parse_binary(bb_parser *p, int level)
{
    static const int ops[][5] = { { BB_OP_POWER }, { '*', '/', BB_OP_FLOOR, '%' }, { 0 },
                                  { '+', '-' } };
    if (level < 0) return parse_unary(p, true);

    bb_node        *node = parse_binary(p, level - 1);
    const bb_token *t = p->at;
    while (!failed(p) && t->kind == BB_T_OPERATOR) {
        int i = 0;
        while (ops[level][i] && ops[level][i] != t->op) i++;
        if (!ops[level][i]) break;
        p->at++;
        node = make(p, BB_N_BINARY, t, node, parse_binary(p, level - 1));
        if (node) node->op = (uint8_t)t->op;
        t = p->at;
    }
    if (level != 2 || !bb_at_op(p, '~')) return node;
    bb_node  *concat = make(p, BB_N_CONCAT, t, node, NULL);
    bb_node **tail = node ? &node->next : NULL;
    while (!failed(p) && bb_skip_op(p, '~')) bb_append(&tail, parse_binary(p, level - 1));
    return concat;
}

enum { SUMS = 3 };

/* The comparison at the scanner, past it; 0: none. */
static int take_comparison(bb_parser *p)
{
    if (p->at->kind == BB_T_OPERATOR &&
        (p->at->op >= BB_OP_EQ || p->at->op == '<' || p->at->op == '>'))
        return p->at++->op;
    if (bb_skip_name(p, "in")) return BB_OP_IN;
    if (!bb_at_name(p, "not") || p->at[1].kind != BB_T_NAME || !bb_passage_is(p->at[1].text, "in"))
        return 0;
    p->at += 2;
    return BB_OP_NOT_IN;
}

static bb_node *parse_comparison(bb_parser *p)
{
    const bb_token *t = p->at;
    bb_node        *node = parse_binary(p, SUMS);
    bb_node        *operands = NULL;
    bb_node       **tail = &operands;

    while (!failed(p)) {
        const bb_token *at = p->at;
        const int       op = take_comparison(p);
        if (!op) break;
        bb_node *operand = make(p, BB_N_OPERAND, at, parse_binary(p, SUMS), NULL);
        if (operand) operand->op = (uint8_t)op;
        bb_append(&tail, operand);
    }
    return operands ? make(p, BB_N_COMPARE, t, node, operands) : node;
}

static bb_node *parse_not(bb_parser *p)
{
    const bb_token *t = p->at;

    if (!bb_skip_name(p, "not")) return parse_comparison(p);
    if (!bb_enter(p->w)) return NULL;
    bb_node *node = make(p, BB_N_NOT, t, parse_not(p), NULL);
    bb_leave(p->w);
    return node;
}

static bb_node *parse_and(bb_parser *p)
{
    const bb_token *t = p->at;
    bb_node        *node = parse_not(p);

    while (!failed(p) && bb_skip_name(p, "and")) node = make(p, BB_N_AND, t, node, parse_not(p));
    return node;
}

static bb_node *parse_or(bb_parser *p)
{
    const bb_token *t = p->at;
    bb_node        *node = parse_and(p);

    while (!failed(p) && bb_skip_name(p, "or")) node = make(p, BB_N_OR, t, node, parse_and(p));
    return node;
}

bb_node *bb_parse_expression(bb_parser *p)
{
    const bool            soft = p->is_soft;
    const bb_token *const unknown = p->unknown;
    const bb_token *const t = p->at;

    if (!bb_enter(p->w)) return NULL;
    bb_node        *node = parse_or(p);
    while (!failed(p) && bb_skip_name(p, "if")) {
        p->is_soft = true;
        p->unknown = unknown;
        bb_node *choice = make(p, BB_N_CHOICE, t, parse_or(p), node);
        if (choice && bb_skip_name(p, "else")) choice->c = bb_parse_expression(p);
        node = choice;
    }
    p->is_soft = soft;
    bb_leave(p->w);
    return node;
}

/* -------------------------------------------------------------- tuples, targets ---------- */

bb_node *bb_parse_tuple(bb_parser *p, bool choice, const char *end)
{
    return parse_elements(p, choice ? bb_parse_expression : parse_or, end, false);
}

static bb_node *parse_name_target(bb_parser *p) { return parse_primary(p, false); }
static bb_node *parse_member_target(bb_parser *p) { return parse_primary(p, true); }

static bool can_assign(const bb_node *node)
{
    if (node->kind == BB_N_NAME || node->kind == BB_N_MEMBER) return true;
    if (node->kind != BB_N_TUPLE) return false;
    for (const bb_node *i = node->a; i; i = i->next)
        if (!can_assign(i)) return false;
    return true;
}

bb_node *bb_parse_target(bb_parser *p, const char *end, bool members)
{
    const bb_token *t = p->at;

    p->is_target = true;
    bb_node *node = parse_elements(p, members ? parse_member_target : parse_name_target, end,
                                   false);
    p->is_target = false;
    if (!node || failed(p) || can_assign(node)) return node;
    p->at = t;
    bb_expected(p, "a name to assign to");
    return NULL;
}
