/* parser.h - what the parts of the parser share (parser.c): tags and bodies (tags.c), expressions
 * (expression.c).
 *
 * Errors:  sticky, as work.h; nodes are then NULL, or have missing parts.
 */
#ifndef BB_CHAT_PARSER_H
#define BB_CHAT_PARSER_H

#include "chat/lexer.h"
#include "chat/syntax.h"

/* The variables of a body, as Jinja finds them before it runs: in a body that assigns to one before
   it reads it, and not in a branch alone, the variable begins undefined, unless a body around knows
   it too. */
typedef struct bb_frame {
    struct bb_frame *outer, *before;      /* before: in the list of all                        */
    bb_node         *names;               /* list: each with flags BB_ASSIGNED or none, by what
                                             was first                                         */
    bb_node         *body;
    int              n_branches;          /* around the place being parsed                     */
} bb_frame;

enum { BB_ASSIGNED = 1 };

typedef struct bb_parser {
    bb_work        *w;
    const bb_token *at;                   /* the current token                                 */
    bb_node        *names;                /* list: one text for each name of a variable        */
    bb_frame       *frame, *frames;       /* the innermost; the last of all                    */
    bool            is_target;            /* names are assigned to, not read                   */
    int             n_loops;              /* loops around, up to the macro                     */
    unsigned        uses, assigns;        /* BB_VARARGS …: special variables of macros that are
                                             read before they are assigned to; assigned to      */
    const bb_token *unknown;              /* a filter or test that there is not; NULL: none    */
    bool            is_soft;              /* directly in a branch: names of filters and tests
                                             are then looked up when they are used, as Jinja
                                             does it                                           */
} bb_parser;

bool bb_at_op(const bb_parser *p, int op);
bool bb_at_name(const bb_parser *p, const char *name);
bool bb_skip_op(bb_parser *p, int op);
bool bb_skip_name(bb_parser *p, const char *name);
void bb_expect_op(bb_parser *p, int op);
void bb_expect_name(bb_parser *p, const char *name);
void bb_expect_end(bb_parser *p);         /* of a tag */
const bb_passage *bb_take_name(bb_parser *p);
/* Failures from now on are at this token. */
void bb_locate(bb_parser *p, const bb_token *t);
/* Fail at the current token: "expected …". */
void bb_expected(bb_parser *p, const char *what);
void bb_unsupported(bb_parser *p, const bb_token *at, const char *what);

bb_node *bb_node_new(bb_parser *p, bb_node_kind kind, const bb_token *at);
/* The one text for a variable of this name. */
const bb_passage *bb_intern(bb_parser *p, const bb_passage *name);
/* Append to a list: *tail is where the next node goes. */
void bb_append(bb_node ***tail, bb_node *node);

/* Begin a frame inside the one there is; close it around a list of statements: its body. */
void     bb_open_frame(bb_parser *p, const bb_token *at);
bb_node *bb_close_frame(bb_parser *p, bb_node *list);
/* Tell the frame that a variable is read, or assigned to. */
void bb_note_name(bb_parser *p, const bb_passage *name, bool assigned);
/* BB_VARARGS, BB_KWARGS or BB_CALLER by its name, or 0. */
unsigned bb_special_bit(const bb_passage *name);
/* Tell the macro around that a name is read, or assigned to. */
void bb_note_special(bb_parser *p, const bb_passage *name, bool assigned);
/* Tell the frame that all names in a target are assigned to. */
void bb_note_target(bb_parser *p, const bb_node *target);

/* Text, output and tags up to one of the names `ends` in a tag, which is the current token then;
   ends NULL: to the end of the template. */
bb_node *bb_parse_body(bb_parser *p, const char *const *ends);
bb_node *bb_parse_expression(bb_parser *p);
/* An expression, or a tuple without parentheses; `end`: a name that ends it, or NULL.
   choice: with "if … else …". */
bb_node *bb_parse_tuple(bb_parser *p, bool choice, const char *end);
/* What can be assigned to; members: of namespaces too. */
bb_node *bb_parse_target(bb_parser *p, const char *end, bool members);
/* Filters from "|" on, or with `named` from a name on; the first has no input. NULL: none. */
bb_node *bb_parse_filters(bb_parser *p, bool named);

#endif
