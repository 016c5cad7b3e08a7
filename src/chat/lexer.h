/* lexer.h - a template's text into tokens, as Jinja cuts it with trim_blocks and lstrip_blocks.
 *
 * Owns:    white space around tags, comments, raw blocks, literals, line and column.
 * Not:     what the tokens say (parser.h).
 * Errors:  sticky, as work.h.
 */
#ifndef BB_CHAT_LEXER_H
#define BB_CHAT_LEXER_H

#include "chat/value.h"

typedef enum bb_token_kind {
    BB_T_END, BB_T_DATA, BB_T_BLOCK_BEGIN, BB_T_BLOCK_END, BB_T_VARIABLE_BEGIN,
    BB_T_VARIABLE_END, BB_T_NAME, BB_T_STRING, BB_T_NUMBER, BB_T_OPERATOR
} bb_token_kind;

/* Operators of two characters have numbers of their own; the others are their character. */
enum { BB_OP_POWER = 128, BB_OP_FLOOR, BB_OP_EQ, BB_OP_NE, BB_OP_LE, BB_OP_GE };

typedef struct bb_token {
    bb_token_kind     kind;
    int               op;                 /* of an operator                                  */
    uint32_t          line, column;
    const bb_passage *text;               /* of data, a name, a string                       */
    bb_value          number;
} bb_token;

/* Cut text [n], well-formed UTF-8. Returns tokens that end with BB_T_END, or NULL. */
bb_token *bb_lex(bb_work *w, const char *text, size_t n);

#endif
