/* conversation.h - messages, tools and variables: from JSON to the values a template sees.
 *
 * Owns:    what transformers does to a conversation before it renders it; which texts count as
 *          typed by users: all of them, but for roles that are a plain word.
 * Not:     JSON itself (base/json_parse.h).
 * Errors:  sticky, as work.h.
 */
#ifndef BB_CHAT_CONVERSATION_H
#define BB_CHAT_CONVERSATION_H

#include "base/json_parse.h"
#include "chat/value.h"

/* Values of a JSON tree, to whose texts they refer. */
bb_value bb_value_of_json(bb_work *w, const bb_json_node *node);

/* The messages: a list of objects, at least one. Members that are null are left out; reasoning goes
   by each name that templates know for it. */
bb_value bb_conversation(bb_work *w, const bb_json_node *messages);

#endif
