/* conversation.h - a conversation, and how much of it a session has read.
 *
 * Owns:    the messages, the text that the session stands for, the logits behind a prompt.
 * Not:     choosing tokens (decoding.h), the terminal (dialogue.h).
 * Errors:  reported here; callers pass the exit code on. conversation_close in any case.
 *
 * A session reads only what a rendered conversation has more than the text it has read. Where the
 * text is another one - messages were taken back, or a template writes earlier turns anew - the
 * session goes back to the last token that both have in common.
 */
#ifndef BAMBA_TOOLS_CONVERSATION_H
#define BAMBA_TOOLS_CONVERSATION_H

#include "chat_format.h"
#include "messages.h"
#include "setup.h"

typedef struct conversation_mark {        /* behind an answer                                */
    size_t n_text, position;              /* bytes, tokens                                   */
} conversation_mark;

typedef struct conversation {
    setup             *setup;
    const chat_format *format;
    messages           messages;

    /* The last reading. */
    text_buffer        prompt;            /* the text that the model has read                */
    size_t             n_read, n_back;    /* tokens fed, those fed again to go back among them;
                                             tokens that were taken back before              */
    double             read_ms;           /* for rendering and feeding                       */

    /* Inside. */
    text_buffer        text;              /* up to the last mark                             */
    conversation_mark *marks;             /* [n_marks] ascend; the first is { 0, 0 }         */
    size_t             n_marks, capacity;
    float             *logits;            /* [n_vocab] behind the last prompt                */
    size_t             logits_position;   /* where; 0: nowhere                               */
    bool               changed;           /* the user has taken something back               */
    bool               told;
} conversation;

int  conversation_open(conversation *c, setup *s, const chat_format *format);
void conversation_close(conversation *c);

/* The session is about to be another one, whose first `position` tokens stand for text [n]. Changes
   nothing where it fails. */
int conversation_begin(conversation *c, const char *text, size_t n, size_t position);

/* Drop all but the first n messages, or all and what was read. */
void conversation_cut(conversation *c, size_t n);

/* Set all but the first n messages aside, and put them back at the end, which cannot fail unless
   others have been added meanwhile. */
int conversation_set_aside(conversation *c, size_t n, messages *aside);
int conversation_put_back(conversation *c, messages *aside);

/* Read the conversation as it stands, and give the logits behind it, borrowed until the next call
   of conversation or engine. */
int conversation_read(conversation *c, const float **logits);

/* Let the session go back to where the next turn of a user will go on with it, which is behind the
   last answer unless the template writes that otherwise than it was read. A template that refuses a
   turn there leaves all as it is. */
int conversation_settle(conversation *c);

/* Add the answer whose tokens ids [n] were chosen behind the last reading, end tokens left out, of
   which the session has been fed all but maybe the last ones. */
int conversation_add_answer(conversation *c, const int32_t *ids, size_t n);

#endif
