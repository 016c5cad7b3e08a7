/* speculation.h - guesses at the tokens that come next: from the text itself, from a draft model.
 *
 * Owns:    the guesses and their sources, the options that ask for them, saying what came of them.
 * Not:     feeding and choosing (decoding.h), how many guesses pay (pace.h).
 *
 * In a loop: speculation_guess with the token chosen last, feed it with the guesses behind it,
 * choose tokens as long as they are the guesses, telling speculation_accept of those, then
 * speculation_learn.
 */
#ifndef BAMBA_TOOLS_SPECULATION_H
#define BAMBA_TOOLS_SPECULATION_H

#include "draft.h"
#include "pace.h"

typedef struct speculation_flags {
    int         n_lookup;                 /* guesses a pass from the text; 0: none */
    draft_flags draft;
} speculation_flags;

#define SPECULATION_FLAGS { .draft = DRAFT_FLAGS }

/* Rows of an option table; f is a speculation_flags *. */
#define SPECULATION_ROWS(f)                                                                        \
    ARG_INT_ROW("--lookup", "N", &(f)->n_lookup, 0, PACE_MOST, "guess up to N tokens a pass "      \
      "from what followed the last ones before", .usual = "0", .more = "The text is the same. "    \
      "Guessing stops by itself where it does not pay."),                                          \
    DRAFT_ROWS(&(f)->draft)

enum { SPECULATION_LOOKUP, SPECULATION_DRAFT, SPECULATION_SOURCES };

typedef struct speculation {
    bamba_speculator *lookup;             /* NULL: no guesses from the text */
    draft       draft;
    bool        has_draft;
    int         most[SPECULATION_SOURCES];            /* guesses a pass, of each source … */
    int         most_rows;                /* … and of a pass with one more row of logits */
    int32_t     guess[PACE_MOST];         /* [n] of the pass in hand */
    int         n, source;
    double      guess_ms;                 /* what they took */
    pace        pace;
    pace_source of[SPECULATION_SOURCES];
    double      draft_ms, draft_prompt_ms;            /* all that the draft model took */
} speculation;

/* How many guesses a pass can have is known then; the draft model comes later. */
bamba_status speculation_open(speculation *s, const speculation_flags *f, bamba_error *err);
/* Open the draft model that the flags name, if any, as draft_open does. An exit code. */
int  speculation_open_draft(speculation *s, const speculation_flags *f, const setup *target,
                            const setup_flags *how, const sampling *choice, bool is_seeded);
void speculation_close(speculation *s);

/* Forget the tokens, not what was learnt of costs. */
bamba_status speculation_forget(speculation *s, bamba_error *err);

/* Tell it of tokens of the text, without guessing. */
bamba_status speculation_accept(speculation *s, const int32_t *ids, size_t n, bamba_error *err);

/* Let the draft model read the prompt, which a session has absorbed. */
bamba_status speculation_begin(speculation *s, const bamba_session *session, bamba_error *err);

/* Make s->guess [s->n <= room] behind the text of a session and id, which was just chosen and is
   not fed: as many as are expected to give the most tokens for their time. chooser: the sampler
   that will choose the next tokens. */
bamba_status speculation_guess(speculation *s, const bamba_session *session, int32_t id,
                               const bamba_sampler *chooser, size_t room, bamba_error *err);

/* Choose behind logits where guess number i of the pass stands; i may be n. */
int32_t speculation_choose(const speculation *s, bamba_sampler *chooser, const float *logits,
                           int i);

/* The pass, and going back behind the guesses that stand, took so long; n_right of them do. */
void speculation_learn(speculation *s, int n_right, double ms);

/* What came of the guesses: ", 12 of 20 guesses right (60 %) in 9 passes" or nothing, lines of a
   table of times, members of an object. */
const char *speculation_summary(const speculation *s, char *out, size_t size);
void speculation_print(const speculation *s);
void speculation_add_json(const speculation *s, json *timings);

#endif
