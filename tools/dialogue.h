/* dialogue.h - a user and a model take turns.
 *
 * Owns:    the loop of turns, answers as they come, what is known of the last one.
 * Not:     what has been fed (conversation.h), the slash commands (chat_commands.h).
 * Errors:  reported here; callers pass the exit code on.
 */
#ifndef BAMBA_TOOLS_DIALOGUE_H
#define BAMBA_TOOLS_DIALOGUE_H

#include "chat_format.h"
#include "conversation.h"
#include "generation.h"
#include "line_editor.h"
#include "sampling.h"

typedef struct dialogue_times {           /* of the last answer                              */
    size_t n_prompt, n_read, n_back;      /* tokens before it, of these fed for it; taken back
                                             before that                                     */
    size_t n_answer, n_eval;
    double read_ms, first_ms, eval_ms;    /* first_ms: from the turn's begin to its first token */
    generation_end end;
} dialogue_times;

typedef struct dialogue {
    /* Set by the caller. */
    setup           *setup;
    chat_format     *format;
    sampling        *sampling;
    bamba_sampler   *sampler;             /* freed by the caller                             */
    const char      *system;              /* NULL: the template's own; empty: an empty one   */
    int              n_predict;           /* most tokens of an answer, negative: any number  */
    bool             seeded;              /* the user chose the seed: each answer is drawn
                                             with it                                         */
    bool             colour;
    bool             perf;                /* say the times of each answer                    */

    /* Inside. */
    conversation     talk;
    line_editor     *editor;
    int32_t          turn_end;
    dialogue_times   times;
    bool             several;             /* the next turn has several lines                 */
    bool             failed;              /* a command did                                   */
    text_buffer      turn;
} dialogue;

/* setup has a session. dialogue_close in any case. */
int  dialogue_open(dialogue *d);
void dialogue_close(dialogue *d);

/* Let the model answer the conversation as it stands. EXIT_INTERRUPTED: the part that was written
   before Ctrl-C is the answer, and there is none if nothing was. */
int dialogue_answer(dialogue *d);

/* Turns from the terminal or standard input until its end. */
int dialogue_run(dialogue *d);

/* Say how many tokens the last turn took, and how fast. */
void dialogue_print_times(const dialogue *d);

#endif
