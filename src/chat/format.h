/* format.h - values as Python writes them by a specification: padding, signs, bases, digits.
 *
 * Not:     the languages of such specifications (format.c).
 * Errors:  sticky, as work.h.
 */
#ifndef BB_CHAT_FORMAT_H
#define BB_CHAT_FORMAT_H

#include "chat/builtin.h"

/* How one value is to be written, in "%s" % x as in "{}".format(x). */
typedef struct bb_format_spec {
    uint32_t fill;
    char     align;                       /* '<' '>' '^' '=' (behind the sign); 0: by the value */
    char     sign;                        /* '+' or ' '; 0: only a minus */
    bool     alternate;                   /* 0x in front */
    char     group;                       /* ',' or '_' between thousands; 0: none */
    int64_t  width, precision;            /* -1: not given */
    char     type;                        /* 0: not given */
} bb_format_spec;

/* Fail: "format: what". Always false. */
bool bb_format_bad(bb_work *w, const char *what);

void bb_put_formatted_text(bb_builder *b, const bb_format_spec *s, const bb_passage *p);
void bb_put_formatted_integer(bb_builder *b, const bb_format_spec *s, bb_value v);
void bb_put_formatted_float(bb_builder *b, const bb_format_spec *s, double x);
/* By the value's kind; a letter that does not fit it is an error. */
void bb_put_formatted(bb_builder *b, const bb_format_spec *s, bb_value v);

#endif
