/* syntax.h - a template as a tree.
 *
 * Owns:    nodes, and what their members mean for each kind.
 * Not:     how they come about (parser.c, expression.c) or what they do (render.c, evaluate.c).
 */
#ifndef BB_CHAT_SYNTAX_H
#define BB_CHAT_SYNTAX_H

#include "chat/value.h"

typedef enum bb_node_kind {
    /* expressions */
    BB_N_CONST,                           /* value                                             */
    BB_N_NAME,                            /* text                                              */
    BB_N_ATTRIBUTE,                       /* a.text                                            */
    BB_N_ITEM,                            /* a[b]                                              */
    BB_N_SLICE,                           /* a[b:c:d], each may be NULL                        */
    BB_N_CALL,                            /* a(call)                                           */
    BB_N_FILTER,                          /* a | builtin(call); a NULL: of a block's text      */
    BB_N_TEST,                            /* a is builtin(call)                                */
    BB_N_NOT, BB_N_MINUS, BB_N_PLUS,      /* a                                                 */
    BB_N_AND, BB_N_OR,                    /* a, b                                              */
    BB_N_BINARY,                          /* a op b                                            */
    BB_N_CONCAT,                          /* list a, joined as texts                           */
    BB_N_COMPARE,                         /* a, then the list b of operands                    */
    BB_N_OPERAND,                         /* op, a                                             */
    BB_N_CHOICE,                          /* b if a else c, which may be NULL                  */
    BB_N_LIST, BB_N_TUPLE,                /* list a                                            */
    BB_N_DICT,                            /* list a of pairs                                   */
    BB_N_PAIR,                            /* a: b                                              */
    BB_N_KEYWORD,                         /* text=a in a call                                  */
    /* targets of assignments beside names and tuples */
    BB_N_MEMBER,                          /* text.a, a a name                                  */
    /* statements */
    BB_N_DATA,                            /* value: a text                                     */
    BB_N_PRINT,                           /* a                                                 */
    BB_N_IF,                              /* list a of branches                                */
    BB_N_BRANCH,                          /* if a (NULL: else) then list b                     */
    /* The bodies of those below that are b, d or e are a BB_N_BODY. */
    BB_N_FOR,                             /* for a in b if c: d, else e                        */
    BB_N_SET,                             /* a = b                                             */
    BB_N_CAPTURE,                         /* a = b, through the filters c                      */
    BB_N_MACRO,                           /* text(list a of parameters): b                     */
    BB_N_PARAMETER,                       /* text = a, which may be NULL                       */
    BB_N_CALL_BLOCK,                      /* call of the call a; macro b is its caller         */
    BB_N_FILTER_BLOCK,                    /* b, through the filters c                          */
    BB_N_WITH,                            /* list a of settings, b                             */
    BB_N_GENERATION,                      /* b                                                 */
    BB_N_BREAK, BB_N_CONTINUE,
    BB_N_BODY                             /* list a, with variables of its own; list b of those
                                             that begin undefined, whatever is outside          */
} bb_node_kind;

enum {                                    /* flags of a node                                   */
    BB_RECURSIVE  = 1,                    /* a loop that can be called                         */
    BB_VARARGS    = 2,                    /* of a macro: what its body uses beside parameters  */
    BB_KWARGS     = 4,
    BB_CALLER     = 8,
    BB_NAMELESS   = 16                    /* the caller that a call block makes                */
};

/* In comparisons beside BB_OP_…: */
enum { BB_OP_IN = 140, BB_OP_NOT_IN };

typedef struct bb_node bb_node;

typedef struct bb_call {
    bb_node *positional;                  /* list                                              */
    bb_node *named;                       /* list of keywords                                  */
    bb_node *star, *stars;                /* *a, **b; may be NULL                              */
} bb_call;

struct bb_node {
    uint8_t           kind, op, flags;
    uint32_t          line, column;
    const bb_passage *text;               /* of variables: one text for all of a name          */
    bb_value          value;
    const struct bb_builtin *builtin;     /* NULL: Jinja has none of this name either; fails
                                             where it is used                                  */
    bb_call          *call;
    bb_node          *a, *b, *c, *d, *e;
    bb_node          *next;               /* in a list                                         */
};

typedef struct bb_syntax {
    bb_node          *body;               /* a BB_N_BODY                                       */
    const bb_passage *loop, *caller, *kwargs, *varargs;   /* the names of special variables     */
} bb_syntax;

/* Parse a template. Everything it refers to is memory of w. */
bool bb_parse(bb_work *w, bb_syntax *out, const char *text, size_t n);

#endif
