/* show.h - values as text: str(), repr(), JSON, HTML.
 *
 * Owns:    Python's spelling of numbers, quotes, lists and dictionaries; json.dumps.
 * Errors:  sticky, as work.h.
 */
#ifndef BB_CHAT_SHOW_H
#define BB_CHAT_SHOW_H

#include "chat/value.h"

/* str(v), and repr(v). */
void bb_put_string(bb_builder *b, bb_value v);
void bb_put_repr(bb_builder *b, bb_value v);
void bb_put_float(bb_builder *b, double x);

typedef struct bb_json_style {
    bool              ascii;              /* escape everything else                            */
    bool              is_indented;
    const bb_passage *indent;             /* of one level                                      */
    const bb_passage *comma, *colon;      /* separators; NULL: Python's own                    */
    bool              sort_keys;
} bb_json_style;

void bb_put_json(bb_builder *b, bb_value v, const bb_json_style *style);

/* A text as Markup: escaped, unless it is Markup already. */
const bb_passage *bb_escape_markup(bb_work *w, const bb_passage *p);

#endif
